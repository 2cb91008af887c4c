//! What a status of the hub means, and whether it pays to ask again.

use super::{Error, Name};
use std::time::Duration;
use ureq::http::HeaderMap;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// It will not help to ask again.
    Final(Error),
    /// It may help, after the pause that the server asks for, if it does.
    Passing { error: Error, pause: Option<Duration> },
}

impl Fault {
    /// The same, where the network has been seen to work: then it may come back.
    pub(super) fn once_connected(self) -> Self {
        match self {
            Self::Final(error @ Error::Connection { .. }) => Self::Passing { error, pause: None },
            other => other,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What was asked for, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: &'a Name,
    /// The file, where it is one.
    pub(super) file: Option<&'a str>,
    /// Whether a token is sent along.
    pub(super) token: bool,
}

impl Asked<'_> {
    pub(super) fn what(&self) -> String {
        match self.file {
            Some(file) => format!("{}/{file}", self.name.repository()),
            None => self.name.to_string(),
        }
    }

    /// What `status` means; `body` is the beginning of the answer.
    pub(super) fn fault(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let message = match header("x-error-message") {
            "" => message(body),
            message => message.to_owned(),
        };
        let model = self.what();
        let repository = self.name.repository().to_owned();
        match (status, header("x-error-code")) {
            (401, _) => Error::Unauthorized { model, token: self.token, message }.into(),
            (403, _) | (_, "GatedRepo") => Error::Forbidden { model, repository, message }.into(),
            (404, "RevisionNotFound") => {
                let name = format!("{repository}@{}", self.name.revision());
                Error::NotFound { what: "revision", name }.into()
            }
            (404, _) if self.file.is_some() => Error::NotFound { what: "file", name: model }.into(),
            (404, _) => Error::NotFound { what: "repository", name: repository }.into(),
            (429, _) => {
                let pause = pause(headers);
                Fault::Passing { error: Error::RateLimited { seconds: pause.map(|pause| pause.as_secs()) }, pause }
            }
            (408 | 500..=599, _) => {
                Fault::Passing { error: Error::Status { what: model, status, message }, pause: pause(headers) }
            }
            _ => Error::Status { what: model, status, message }.into(),
        }
    }
}

/// How long the server wants us to wait: `RateLimit: "api";r=0;t=55` as the hub writes it, else `Retry-After: 55`.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let field = |text: &str, name: &str| text.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse().ok());
    let limit = text("ratelimit").filter(|text| field(text, "r=") == Some(0u64));
    let seconds = limit.and_then(|text| field(text, "t=")).or_else(|| text("retry-after")?.trim().parse().ok());
    seconds.map(Duration::from_secs)
}

/// What an answer says about itself: the field `error` of a JSON object, or nothing. Web pages are not for terminals.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Told {
        error: String,
    }
    serde_json::from_slice(body).map(|Told { error }| error).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let wait = |list: &[_]| pause(&headers(list)).map(|pause| pause.as_secs());
        assert_eq!(wait(&[("retry-after", "42")]), Some(42));
        assert_eq!(wait(&[("ratelimit", r#""resolvers";r=0;t=55"#), ("retry-after", "42")]), Some(55));
        assert_eq!(wait(&[("ratelimit", r#""api";r=7;t=55"#)]), None);
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), None);
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_web_page_is_no_message() {
        assert_eq!(message(b"<html>\x1b[31m</html>"), "");
        assert_eq!(message(br#"{"error": "Repository not found"}"#), "Repository not found");
    }
}
