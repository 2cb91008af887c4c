//! Hugging Face's crate `hf-hub` as this program uses it: what it is told, what it may wait for, and how often it is asked again.
//!
//! The crate knows the hub's addresses, sends the token, speaks TLS and fetches content, from Xet storage too. What it leaves to its
//! callers is here: redirects that end, silence that ends, and repetitions that heed what the server says.

use super::answer::{Asked, Fault};
use super::{Error, Name, Progress, Settings, Watcher};
use futures_util::StreamExt as _;
use hf_hub::repository::download::HFByteStream;
use hf_hub::{HFClient, HFRepository, HFResult, RepoTypeModel};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Url};
use std::panic::resume_unwind;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// A file of the hub is behind one redirect, a renamed repository behind another.
const MOST_REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("ffai/", env!("CARGO_PKG_VERSION"));
/// Stands for no token. The crate takes silence for leave to look for one itself; what cannot stand in a header it does not send.
const NO_TOKEN: &str = "\n";

/// A connection to one hub.
pub(super) struct Client<'a> {
    hub: HFClient,
    settings: &'a Settings,
    home: Url,
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
}

/// Content on its way.
pub(super) struct Content {
    /// Bytes that the server announced; of a part that was asked for, of the part.
    pub(super) announced: Option<u64>,
    stream: HFByteStream,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings) -> Result<Self, Error> {
        let bad = || Error::Endpoint { found: settings.endpoint.clone() };
        let home = Url::parse(&settings.endpoint).map_err(|_| bad())?;
        home.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let broken = |error: &dyn std::error::Error| Error::Setup { what: innermost(error) };
        let (hub, token) = (home.clone(), settings.token.is_some());
        let http = reqwest::Client::builder()
            .connect_timeout(settings.patience.connect)
            .read_timeout(settings.patience.silence)
            .redirect(Policy::custom(move |attempt| follow(attempt, &hub, token)))
            .referer(false)
            .user_agent(USER_AGENT)
            .tls_certs_merge(roots());
        let http = http.build().map_err(|error| broken(&error))?;
        let hub = HFClient::builder()
            .client(http)
            .endpoint(&settings.endpoint)
            .token(settings.token.as_ref().map_or(NO_TOKEN, |token| token.secret()))
            .user_agent(USER_AGENT)
            .cache_dir(&settings.cache)
            .cache_enabled(false)
            // Repetitions are ours: see `persist`.
            .retry_max_attempts(0);
        let hub = hub.build().map_err(|error| broken(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| broken(&error))?;
        Ok(Self { hub, settings, home, runtime: Some(runtime) })
    }

    /// What is asked for, for messages.
    pub(super) fn asked<'b>(&'b self, name: &'b Name, file: Option<&'b str>) -> Asked<'b> {
        Asked { name, file, token: self.settings.token.is_some(), home: &self.home }
    }

    /// A repository whose name is `rest` under the user or organization of `name`.
    pub(super) fn repository(&self, name: &Name, rest: &str) -> HFRepository<RepoTypeModel> {
        let owner = name.repository().split('/').next().unwrap_or_default();
        self.hub.model(owner, rest)
    }

    /// Waits for a short answer, all of it.
    pub(super) fn ask<T: Send>(
        &self,
        asked: Asked<'_>,
        request: impl Future<Output = HFResult<T>> + Send,
    ) -> Result<T, Fault> {
        self.wait(self.settings.patience.silence, asked, request)
    }

    /// Asks for `range` of the content of a file, or for all of it.
    pub(super) fn content(
        &self,
        asked: Asked<'_>,
        commit: &str,
        path: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<Content, Fault> {
        let name = asked.name.repository().split('/').nth(1).unwrap_or_default();
        let repository = self.repository(asked.name, name);
        let request = repository.download_file_stream().filename(path).revision(commit).maybe_range(range).send();
        // Two requests: what the file is, and for its content.
        let (announced, stream) = self.wait(self.settings.patience.silence * 2, asked, request)?;
        Ok(Content { announced, stream })
    }

    /// The next bytes of `content`; `None` at its end.
    pub(super) fn next(
        &self,
        asked: Asked<'_>,
        content: &mut Content,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, Fault> {
        self.wait(self.settings.patience.silence, asked, async { content.stream.next().await.transpose() })
    }

    fn wait<T: Send>(
        &self,
        most: Duration,
        asked: Asked<'_>,
        request: impl Future<Output = HFResult<T>> + Send,
    ) -> Result<T, Fault> {
        let Some(runtime) = &self.runtime else { panic!("a client is used before it is dropped") };
        let run = || runtime.block_on(async { tokio::time::timeout(most, request).await });
        let answer = match Handle::try_current() {
            // A thread that drives other tasks may not wait itself.
            Ok(_) => std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic))),
            Err(_) => run(),
        };
        match answer {
            Ok(answer) => answer.map_err(|error| asked.fault(error)),
            Err(_) => {
                let what = format!("no whole answer within {}", seconds(most));
                Err(Fault::Passing { error: Error::Connection { host: host(&self.home), what }, pause: None })
            }
        }
    }

    fn cut(&self) -> Error {
        Error::Connection { host: host(&self.home), what: "the answer ended before its end".to_owned() }
    }

    /// Does `attempt` again as long as that may help: after a pause that grows, or the one that the server asks for. What gained
    /// bytes does not count as failed: `attempt` returns the fault with `true` then.
    pub(super) fn persist<T>(
        &self,
        watcher: &mut Watcher<'_>,
        mut attempt: impl FnMut(&mut Watcher<'_>) -> Result<T, (Fault, bool)>,
    ) -> Result<T, Error> {
        let patience = self.settings.patience;
        let mut failed = 0;
        loop {
            let (error, wanted) = match attempt(watcher) {
                Ok(done) => return Ok(done),
                Err((fault, gained)) => {
                    failed = if gained { 0 } else { failed + 1 };
                    match fault {
                        Fault::Final(error) => return Err(error),
                        Fault::Passing { error, pause } => (error, pause),
                        Fault::Cut => (self.cut(), None),
                    }
                }
            };
            if failed >= patience.attempts || wanted.is_some_and(|wanted| wanted > patience.wait) {
                return Err(error);
            }
            let pause = wanted.unwrap_or(patience.pause * 2u32.saturating_pow(failed.saturating_sub(1)));
            watcher(Progress::Note(&format!("{error}; asking again in {}", seconds(pause))));
            std::thread::sleep(pause);
        }
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        // Looking up a name can take the system longer than anybody waits for it here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Follows a redirect unless it is one too many, leads to what is no web address or is less safe than before, or would show somebody
/// the token that the hub itself was meant to see.
fn follow(attempt: Attempt<'_>, hub: &Url, token: bool) -> Action {
    let refused = match (attempt.previous(), attempt.url()) {
        (previous, _) if previous.len() > MOST_REDIRECTS => "a redirect too many".to_owned(),
        (previous, next) if !is_safe(previous.last().unwrap_or(hub), next) => format!("a redirect to {next}"),
        // What follows redirects takes the token off where the host changes, and puts it on again after that.
        (previous, next) if token && previous.last().is_some_and(|last| !same(last, hub) && same(last, next)) => {
            format!("a redirect within {}, which may not see the token", host(next))
        }
        _ => return attempt.follow(),
    };
    attempt.error(refused)
}

fn is_safe(before: &Url, next: &Url) -> bool {
    next.scheme() == "https" || (next.scheme() == "http" && before.scheme() == "http")
}

fn same(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// Host and port, without what else an address may hold.
pub(super) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// What an error says that stands behind all others: those before it only say that there is one.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Whom to trust beside those that the system trusts: what the user's environment names, as in networks with a proxy of their own.
/// `SSL_CERT_FILE` is read by what finds the system's.
fn roots() -> Vec<Certificate> {
    let named = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(std::env::var_os);
    let pem = named.and_then(|file| std::fs::read(file).ok());
    pem.and_then(|pem| Certificate::from_pem_bundle(&pem).ok()).unwrap_or_default()
}

/// One segment of a path, so that nothing in it has a meaning of its own.
pub(super) fn escape(segment: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    segment.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_no_meaning_of_their_own() {
        assert_eq!(escape("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(escape("a b?c#d%ü"), "a%20b%3Fc%23d%25%C3%BC");
    }

    #[test]
    fn only_the_hub_itself_sees_the_token() {
        let same = |a: &str, b: &str| same(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://hub.co/a", "https://HUB.co:443/b"));
        for other in ["http://hub.co/", "https://hub.co:444/", "https://cdn.hub.co/", "https://hub.co@evil.org/"] {
            assert!(!same(other, "https://hub.co/"), "{other}");
        }
    }

    #[test]
    fn a_host_is_named_without_what_is_nobodys_business() {
        let url: Url = "https://user:secret@hub.co:8443/a?token=x".parse().unwrap();
        assert_eq!(host(&url), "hub.co:8443");
        assert_eq!(host(&"https://hub.co/a".parse().unwrap()), "hub.co");
    }
}
