//! `ffai chat --dash`: the same conversation, with its lines typed and its replies shown in a dashboard.

use super::super::dash::{Prepared, failed};
use super::super::ending::Ending;
use super::super::generate::Chosen;
use super::super::metrics::Logged;
use super::super::output::{Notes, Output};
use super::conversation::Conversation;
use super::lines::Lines;
use super::{Chat, ChatArguments};
use ffai::dashboard::{self, After, How, Left, Mode};
use ffai::generate::{OpenOptions, SamplingOptions};

/// What a conversation begins with.
pub(super) struct Begin {
    pub(super) arguments: ChatArguments,
    pub(super) sampling: SamplingOptions,
    pub(super) options: OpenOptions,
    pub(super) system: Option<String>,
    pub(super) chosen: Chosen,
    pub(super) logged: Option<Logged>,
}

/// Talks until the user leaves, or something fails.
pub(super) fn run(begin: Begin, prepared: Prepared) -> Result<(), Ending> {
    let state = prepared.state(&begin.chosen, Mode::Chat);
    let left = dashboard::run(state, move |handle| {
        let Begin { arguments, sampling, options, system, chosen, logged } = begin;
        let logged = logged.map(|logged| logged.on(handle));
        let feed = Some(prepared.feed(handle));
        let output = Output::on(handle, Notes::WithText);
        let lines = Lines::Dashboard(handle.clone());
        let conversation = Conversation { system, ..Conversation::default() };
        let mut chat = Chat { arguments, sampling, options, output, lines, conversation, last: None, logged, feed };
        After::Leave(chat.run(chosen))
    });
    let Left { how, work, .. } = left.map_err(|error| failed(&error))?;
    work.transpose()?;
    if how == How::Interrupted { Err(Ending::Interrupted) } else { Ok(()) }
}
