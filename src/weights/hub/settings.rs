//! Where the hub is and where its files lie: the environment variables of Hugging Face's own client, read as it reads them.

use super::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to reach the hub and its cache.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` of the user's cache.
    pub cache: PathBuf,
    /// The server: `HF_ENDPOINT`, else <https://huggingface.co>.
    pub endpoint: String,
    /// Who asks: `HF_TOKEN`, else what `hf auth login` left.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE`: nothing is asked of the network.
    pub offline: bool,
    /// How long to wait for what.
    pub patience: Patience,
}

/// How long to wait for what, and how often to ask.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often in a row something may fail without a byte gained.
    pub attempts: u32,
    /// Before the first repetition of what failed; doubled with each.
    pub pause: Duration,
    /// For a connection.
    pub connect: Duration,
    /// For a list, and for the next bytes of a file.
    pub silence: Duration,
    /// At most when the server asks to come back later.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            // The hub counts requests in windows of five minutes.
            wait: Duration::from_secs(300),
        }
    }
}

/// A secret that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token, without the newline that files end in. `None` where there is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        // Anything else cannot stand in a header, and is no token.
        (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// What it is.
    #[cfg(feature = "hub")]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

impl Settings {
    /// What the environment says.
    ///
    /// # Errors
    /// [`Error::NoHome`] where it says too little to place the cache, [`Error::Endpoint`] where the endpoint is no web address.
    pub fn from_environment() -> Result<Self, Error> {
        Self::new(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn new(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let expand = |path: String| match (path.strip_prefix("~/"), variable("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => PathBuf::from(path),
        };
        let user = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")? + "/.cache"));
        let home = variable("HF_HOME").map(expand).or_else(|| user().map(|cache| expand(cache).join("huggingface")));
        let named = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")).map(expand);
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(Error::Endpoint { found: endpoint });
        }
        let on = |name| variable(name).is_some_and(|value| is_true(&value));
        let read = |path: PathBuf| std::fs::read_to_string(path).ok().as_deref().and_then(Token::new);
        let token = match on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            true => None,
            false => variable("HF_TOKEN")
                .as_deref()
                .and_then(Token::new)
                .or_else(|| variable("HUGGING_FACE_HUB_TOKEN").as_deref().and_then(Token::new))
                .or_else(|| variable("HF_TOKEN_PATH").map(expand).and_then(read))
                .or_else(|| home.as_ref().map(|home| home.join("token")).and_then(read)),
        };
        Ok(Self {
            cache: named.or_else(|| Some(home?.join("hub"))).ok_or(Error::NoHome)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
            patience: Patience::default(),
        })
    }
}

/// The values that Hugging Face's client takes for yes.
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Settings {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::new(&find).unwrap()
    }

    /// The order of huggingface_hub 2.4.0, `constants.py`.
    #[test]
    fn the_cache_lies_where_the_python_client_puts_it() {
        let home = ("HOME", "/home/u");
        assert_eq!(with(&[home]).cache, Path::new("/home/u/.cache/huggingface/hub"));
        assert_eq!(with(&[home, ("XDG_CACHE_HOME", "/c")]).cache, Path::new("/c/huggingface/hub"));
        assert_eq!(with(&[home, ("HF_HOME", "~/hf")]).cache, Path::new("/home/u/hf/hub"));
        assert_eq!(with(&[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "/old")]).cache, Path::new("/old"));
        let both = [("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")];
        assert_eq!(with(&both).cache, Path::new("/new"));
        assert!(matches!(Settings::new(&|_| None), Err(Error::NoHome)));
    }

    #[test]
    fn switches_and_endpoint_are_read() {
        let settings = with(&[("HOME", "/h"), ("HF_ENDPOINT", "https://mirror/"), ("HF_HUB_OFFLINE", "yes")]);
        assert_eq!((settings.endpoint.as_str(), settings.offline), ("https://mirror", true));
        let settings = with(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")]);
        assert_eq!((settings.endpoint.as_str(), settings.offline), ("https://huggingface.co", false));
        let wrong = Settings::new(&|name| (name == "HF_ENDPOINT" || name == "HOME").then(|| "ftp://x".to_owned()));
        assert!(matches!(wrong, Err(Error::Endpoint { .. })));
    }

    #[test]
    fn a_token_is_never_printed() {
        let settings = with(&[("HOME", "/h"), ("HF_TOKEN", " hf_secret\n")]);
        assert_eq!(settings.token, Token::new("hf_secret"));
        assert!(!format!("{settings:?}").contains("hf_secret"));
        let disabled = with(&[("HOME", "/h"), ("HF_TOKEN", "hf_secret"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]);
        assert_eq!(disabled.token, None);
        assert_eq!(Token::new("two words"), None);
    }
}
