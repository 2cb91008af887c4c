//! Requests to the hub: where they go, who may see the token, how much of an answer is read, and how often it is asked again.

use super::answer::{Asked, Fault};
use super::{Error, Name, Progress, Settings, Watcher};
use std::io::Read as _;
use std::time::Duration;
use ureq::http::{Response, Uri, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// A file of the hub is behind one redirect, a renamed repository behind another.
const MOST_REDIRECTS: usize = 5;
/// How often in a row something may fail without a byte gained.
const MOST_ATTEMPTS: u32 = 5;

/// A connection to one hub.
pub(super) struct Client<'a> {
    agent: Agent,
    settings: &'a Settings,
    home: Uri,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings) -> Result<Self, Error> {
        let bad = || Error::Endpoint { found: settings.endpoint.clone() };
        let home: Uri = settings.endpoint.parse().map_err(|_| bad())?;
        home.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let patience = settings.patience;
        let config = Agent::config_builder()
            // Redirects are followed below: each says something that the next does not know.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .user_agent(concat!("ffai/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots()).build());
        Ok(Self { agent: config.build().into(), settings, home })
    }

    /// The settings it was made with.
    pub(super) fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// What is asked for, for messages.
    pub(super) fn asked<'b>(&self, name: &'b Name, file: Option<&'b str>) -> Asked<'b> {
        Asked { name, file, token: self.settings.token.is_some() }
    }

    /// Asks for `address`, from byte `from` on, and follows redirects. The answer's status is 200, 206 or 416.
    pub(super) fn get(&self, asked: Asked<'_>, address: &str, from: u64) -> Result<Response<Body>, Fault> {
        let mut uri: Uri = address.parse().map_err(|_| self.strange(asked, "a web address", address))?;
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.agent.get(&uri).header(header::ACCEPT_ENCODING, "identity");
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            // The files lie with others, who have no business with the token.
            if let Some(token) = self.settings.token.as_ref().filter(|_| same_origin(&uri, &self.home)) {
                request = request.header(header::AUTHORIZATION, token.bearer());
            }
            let mut answer = request.call().map_err(|error| unreachable(&uri, &error))?;
            let status = answer.status().as_u16();
            match status {
                200 | 206 => return Ok(answer),
                416 if from > 0 => return Ok(answer),
                301 | 302 | 303 | 307 | 308 => uri = self.next(asked, &uri, &answer)?,
                _ => {
                    let mut body = Vec::new();
                    // What does not arrive is not needed: the status says enough.
                    let _ = answer.body_mut().as_reader().take(4096).read_to_end(&mut body);
                    return Err(asked.fault(status, answer.headers(), &body));
                }
            }
        }
        Err(self.strange(asked, "at most 5 redirects", "more"))
    }

    /// All of an answer that is at most `most` bytes, and where the next page of it is.
    pub(super) fn page(&self, asked: Asked<'_>, address: &str, most: u64) -> Result<(Vec<u8>, Option<String>), Fault> {
        let mut answer = self.get(asked, address, 0)?;
        let next = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
        let next = next.map(str::to_owned);
        let mut bytes = Vec::new();
        let read = answer.body_mut().as_reader().take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| broken(&self.home, &error))?;
        if bytes.len() as u64 > most {
            return Err(self.strange(asked, "a list of ordinary size", &format!("more than {most} bytes")));
        }
        Ok((bytes, next))
    }

    /// Where a redirect leads.
    fn next(&self, asked: Asked<'_>, from: &Uri, answer: &Response<Body>) -> Result<Uri, Fault> {
        let place = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
        let scheme = from.scheme_str().unwrap_or("https");
        let host = from.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let whole = match place {
            _ if place.starts_with("//") => format!("{scheme}:{place}"),
            _ if place.starts_with('/') => format!("{scheme}://{host}{place}"),
            _ => place.to_owned(),
        };
        let uri: Uri = whole.parse().map_err(|_| self.strange(asked, "a redirect to a web address", place))?;
        let safe = uri.host().is_some() && (uri.scheme_str() == Some("https") || uri.scheme_str() == from.scheme_str());
        if safe { Ok(uri) } else { Err(self.strange(asked, "a redirect to a web address, as safe as before", place)) }
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
                Err((Fault::Final(error), _)) => return Err(error),
                Err((Fault::Passing { error, pause }, gained)) => {
                    failed = if gained { 0 } else { failed + 1 };
                    (error, pause)
                }
            };
            if failed >= MOST_ATTEMPTS || wanted.is_some_and(|wanted| wanted > patience.wait) {
                return Err(error);
            }
            let pause = wanted.unwrap_or(patience.pause * 2u32.pow(failed.saturating_sub(1)));
            watcher(Progress::Note(&format!("{error}; asking again in {}", seconds(pause))));
            std::thread::sleep(pause);
        }
    }

    /// An answer that is none.
    pub(super) fn strange(&self, asked: Asked<'_>, expected: &'static str, found: &str) -> Fault {
        Error::Answer { what: asked.what(), expected, found: found.to_owned() }.into()
    }
}

fn seconds(pause: Duration) -> String {
    format!("{:.1} s", pause.as_secs_f64())
}

/// No answer, or half of its headers. A connection that breaks may not break again; a name that nobody knows, a closed door and a
/// certificate that does not convince stay as they are.
fn unreachable(uri: &Uri, error: &ureq::Error) -> Fault {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, UnexpectedEof};
    let (what, passing) = match error {
        ureq::Error::Io(error) => {
            let passing = [BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, UnexpectedEof]
                .contains(&error.kind());
            (error.to_string(), passing)
        }
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            ("no connection in time".to_owned(), false)
        }
        ureq::Error::Timeout(what) => (format!("no answer in time ({what})"), true),
        ureq::Error::HostNotFound => ("there is no such host, or no network".to_owned(), false),
        other => (other.to_string(), false),
    };
    let error = Error::Connection { host: host(uri), what };
    if passing { Fault::Passing { error, pause: None } } else { error.into() }
}

/// A body that ends before its end.
pub(super) fn broken(uri: &Uri, error: &std::io::Error) -> Fault {
    Fault::Passing { error: Error::Connection { host: host(uri), what: error.to_string() }, pause: None }
}

fn host(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    a.scheme_str() == b.scheme_str() && host(a) == host(b) && port(a) == port(b)
}

/// `<https://…>; rel="next"`, as lists of many pages say.
fn next_page(link: &str) -> Option<&str> {
    let entry = link.split(',').find(|entry| entry.contains("rel=\"next\""))?;
    entry.split_once('<')?.1.split_once('>').map(|(address, _)| address)
}

/// Who is trusted to vouch for a server: Mozilla's list, or what the user's environment names, as in networks with a proxy of
/// their own.
fn roots() -> RootCerts {
    let named = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(std::env::var_os);
    let Some(pem) = named.and_then(|file| std::fs::read(file).ok()) else { return RootCerts::WebPki };
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::from(certificates) }
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
    fn only_the_hub_itself_sees_the_token() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://hub.co/a", "https://HUB.co:443/b"));
        for other in ["http://hub.co/", "https://hub.co:444/", "https://cdn.hub.co/", "https://hub.co@evil.org/"] {
            assert!(!same(other, "https://hub.co/"), "{other}");
        }
    }

    #[test]
    fn segments_have_no_meaning_of_their_own() {
        assert_eq!(escape("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(escape("a b?c#d%ü"), "a%20b%3Fc%23d%25%C3%BC");
    }

    #[test]
    fn the_next_page_is_found() {
        let link = r#"<https://h/a?cursor=1>; rel="first", <https://h/b?cursor=2>; rel="next""#;
        assert_eq!(next_page(link), Some("https://h/b?cursor=2"));
        assert_eq!(next_page(r#"<https://h/a>; rel="prev""#), None);
    }
}
