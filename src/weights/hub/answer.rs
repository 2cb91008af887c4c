//! What a failure that `hf-hub` reports means, and whether it pays to ask again.

use super::client::{host, innermost};
use super::{Error, Name};
use hf_hub::HFError;
use reqwest::Url;
use std::error::Error as _;
use std::io;
use std::time::Duration;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// It will not help to ask again.
    Final(Error),
    /// It may help, after the pause that the server asks for, if it does.
    Passing { error: Error, pause: Option<Duration> },
    /// The answer ended before its end.
    Cut,
}

impl Fault {
    /// The same, where the network has been seen to work: then it may come back.
    pub(super) fn once_connected(self) -> Self {
        match self {
            Self::Final(error @ Error::Connection { .. }) => Self::passing(error),
            other => other,
        }
    }

    pub(super) fn passing(error: Error) -> Self {
        Self::Passing { error, pause: None }
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
    /// The hub.
    pub(super) home: &'a Url,
}

impl Asked<'_> {
    pub(super) fn what(&self) -> String {
        match self.file {
            Some(file) => format!("{}/{file}", self.name.repository()),
            None => self.name.to_string(),
        }
    }

    /// An answer that is none.
    pub(super) fn strange(&self, expected: &'static str, found: &str) -> Error {
        Error::Answer { what: self.what(), expected, found: found.to_owned() }
    }

    /// What `error` means.
    pub(super) fn fault(&self, error: HFError) -> Fault {
        match error {
            HFError::RateLimited { retry_after: pause, .. } => {
                Fault::Passing { error: Error::RateLimited { seconds: pause.map(|pause| pause.as_secs()) }, pause }
            }
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => {
                let code = context.error_code.unwrap_or_default();
                self.status(context.status.as_u16(), &code, context.server_message.unwrap_or_default())
            }
            HFError::Request { source, .. } => self.request(&source),
            // What lies in Xet storage comes from servers of its own, over connections that may break as others do.
            HFError::Xet { source, .. } => Fault::passing(self.connection(None, innermost(&*source))),
            other => self.strange("an answer of the hub", &other.to_string()).into(),
        }
    }

    /// What a status means that says no.
    fn status(&self, status: u16, code: &str, message: String) -> Fault {
        let model = self.what();
        let repository = self.name.repository().to_owned();
        match (status, code) {
            (401, _) => Error::Unauthorized { model, token: self.token, message }.into(),
            (403, _) | (_, "GatedRepo") => Error::Forbidden { model, repository, message }.into(),
            (404, "RevisionNotFound") => {
                let name = format!("{repository}@{}", self.name.revision());
                Error::NotFound { what: "revision", name }.into()
            }
            (404, _) if self.file.is_some() => Error::NotFound { what: "file", name: model }.into(),
            (404, _) => Error::NotFound { what: "repository", name: repository }.into(),
            (300..=399, _) => {
                self.strange("a redirect to a web address", &format!("status {status} without one")).into()
            }
            (429, _) => Fault::passing(Error::RateLimited { seconds: None }),
            (408 | 500..=599, _) => Fault::passing(Error::Status { what: model, status, message }),
            _ => Error::Status { what: model, status, message }.into(),
        }
    }

    /// What came instead of an answer. A connection that breaks may not break again; a name that nobody knows, a closed door and a
    /// certificate that does not convince stay as they are.
    fn request(&self, error: &reqwest::Error) -> Fault {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, UnexpectedEof};
        let what = innermost(error);
        if error.is_redirect() || error.is_builder() {
            return self.strange("at most 5 redirects, to web addresses as safe as before", &what).into();
        }
        if behind::<serde_json::Error>(error).is_some() {
            return self.strange("its list of files in JSON", &what).into();
        }
        if error.is_timeout() {
            return match error.is_connect() {
                true => self.connection(error.url(), "no connection in time".to_owned()).into(),
                false => Fault::passing(self.connection(error.url(), "no answer in time".to_owned())),
            };
        }
        let kind = behind::<io::Error>(error).map(io::Error::kind);
        match (error.is_connect(), kind) {
            (false, Some(UnexpectedEof)) => Fault::Cut,
            (false, _) | (_, Some(BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | UnexpectedEof)) => {
                Fault::passing(self.connection(error.url(), what))
            }
            _ => self.connection(error.url(), what).into(),
        }
    }

    fn connection(&self, url: Option<&Url>, what: String) -> Error {
        Error::Connection { host: host(url.unwrap_or(self.home)), what }
    }
}

/// The error of one kind that stands behind another.
fn behind<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(error) = source {
        match error.downcast_ref() {
            Some(found) => return Some(found),
            None => source = error.source(),
        }
    }
    None
}
