//! Line after line: commands are carried out, all else is answered.

use super::super::ending::Ending;
use super::super::generate::{Chosen, choose};
use super::super::interrupt;
use super::super::thinking::ThinkingView;
use super::Chat;
use super::commands::{self, Command, Input};
use super::conversation::Conversation;
use super::lines::Line;
use ffai::generate::{Event, FinishReason, Generation, Request, Session};
use ffai::text::{Bos, ChatInput, ChatTemplate, EncodeOptions, Message, Special, Tokenizer};
use std::ops::ControlFlow;

/// Whom one talks to.
pub(super) struct Model<'m> {
    pub(super) session: Session<'m>,
    pub(super) tokenizer: &'m Tokenizer,
    pub(super) template: ChatTemplate,
}

/// How the talk goes on.
pub(super) enum Next {
    Quit,
    Model(Chosen),
}

impl Chat {
    /// Talks until there is to be no more, or another model. A person is told what went wrong and goes on; a pipe ends there.
    pub(super) fn talk(&mut self, model: &mut Model<'_>) -> Result<Next, Ending> {
        if self.lines.on_dashboard() {
            self.output.note("/help lists the commands")?;
        } else if self.lines.interactive() {
            self.output.note("/help lists the commands; Ctrl-C stops a reply, Ctrl-D quits")?;
        }
        loop {
            let line = match self.lines.next()? {
                Line::Text(line) => line,
                Line::GivenUp => continue,
                Line::End => return Ok(Next::Quit),
            };
            match self.line(&line, model) {
                Ok(Some(next)) => return Ok(next),
                Ok(None) => {}
                Err(ending @ Ending::Failed { .. }) if self.lines.interactive() => {
                    self.explain(&ending)?;
                }
                Err(ending) => return Err(ending),
            }
        }
    }

    fn line(&mut self, line: &str, model: &mut Model<'_>) -> Result<Option<Next>, Ending> {
        match commands::parse(line)? {
            Input::Nothing => Ok(None),
            Input::Say(text) => self.say(&text, model).map(|()| None),
            Input::Command(Command::Quit) => Ok(Some(Next::Quit)),
            Input::Command(Command::Model(Some(name))) => {
                let (memory, quiet) = (self.options.memory_budget, self.arguments.quiet || self.lines.on_dashboard());
                choose(Some(name), memory, quiet).map(|chosen| Some(Next::Model(chosen)))
            }
            Input::Command(command) => self.command(command, model).map(|()| None),
        }
    }

    fn command(&mut self, command: Command, model: &Model<'_>) -> Result<(), Ending> {
        let note = match command {
            Command::Help => commands::help(),
            Command::Clear => {
                self.conversation.messages.clear();
                "the conversation is forgotten".to_owned()
            }
            Command::System(None) => match &self.conversation.system {
                Some(text) => text.clone(),
                None => "there is no system text".to_owned(),
            },
            Command::System(Some(text)) if text == "-" => {
                self.conversation.system = None;
                "the system text is removed".to_owned()
            }
            Command::System(Some(text)) => {
                self.conversation.system = Some(text);
                "the system text is set, from the next message on".to_owned()
            }
            Command::Stats => self.stats(),
            Command::Save(path) => {
                self.conversation.save(&path)?;
                format!("saved to {}", path.display())
            }
            Command::Load(path) => {
                let loaded = Conversation::load(&path)?;
                // Before it takes the place of what there is.
                let messages = loaded.messages();
                let input = ChatInput { add_generation_prompt: false, ..self.input(&messages) };
                model.template.render(&input)?;
                let other = match loaded.model != self.conversation.model && !loaded.model.is_empty() {
                    true => ", which were exchanged with another model",
                    false => "",
                };
                let count = loaded.messages.len();
                let model = std::mem::take(&mut self.conversation.model);
                self.conversation = Conversation { model, ..loaded };
                format!("loaded {count} messages from {}{other}", path.display())
            }
            Command::Model(_) => self.conversation.model.clone(),
            // Is carried out where the talk ends.
            Command::Quit => return Ok(()),
        };
        self.output.note(&note)
    }

    fn input<'a>(&self, messages: &'a [Message]) -> ChatInput<'a> {
        ChatInput { thinking: self.arguments.thinking.switch(), ..ChatInput::new(messages) }
    }

    /// Says `text` to the model and shows its reply. Nothing is remembered of a turn that fails.
    fn say(&mut self, text: &str, model: &mut Model<'_>) -> Result<(), Ending> {
        self.conversation.messages.push(Message::new("user", text));
        let replied = self.reply(model);
        interrupt::release();
        let generation = match replied {
            Ok(generation) => generation,
            Err(ending) => {
                self.conversation.messages.pop();
                return Err(ending);
            }
        };
        let cancelled = generation.finish_reason == FinishReason::Cancelled;
        if cancelled && generation.text.is_empty() {
            self.conversation.messages.pop();
            self.output.note("(stopped before a word; your message is taken back)")?;
        } else {
            self.conversation.messages.push(message(&generation));
            self.remark(&generation, model)?;
        }
        // A dashboard shows it as it grows.
        if let Some(profile) = generation.profile.as_ref().filter(|_| !self.lines.on_dashboard()) {
            self.output.note(profile.to_string().trim_end())?;
        }
        self.last = Some(generation.stats);
        if self.arguments.stats {
            self.output.note(&self.stats())?;
        }
        if !self.lines.on_dashboard() {
            self.arguments.observing.phases(&mut self.output)?;
        }
        if cancelled && !self.lines.interactive() { Err(Ending::Interrupted) } else { Ok(()) }
    }

    /// Runs the model over the conversation; the text is shown as it is made.
    fn reply(&mut self, model: &mut Model<'_>) -> Result<Generation, Ending> {
        interrupt::hold();
        let messages = self.conversation.messages();
        let prompt = model.template.render(&self.input(&messages))?;
        // The template writes out all control tokens, the one that begins a text among them.
        let prompt = model.tokenizer.encode(&prompt, EncodeOptions { special: Special::Parse, bos: Bos::Never })?;
        let (found, context) = (prompt.len(), model.session.engine().context());
        if found >= context as usize {
            let message = format!("the conversation has {found} tokens, but the context holds {context}");
            let hint = "/clear begins anew (/save keeps what there is); a larger --ctx holds more, if the model's context allows";
            return Err(Ending::failed(message, Some(hint.to_owned())));
        }
        let request = Request {
            prompt,
            max_tokens: self.arguments.max_tokens,
            sampling: self.sampling,
            stop: self.arguments.sampling.stop.clone(),
            ignore_eos: false,
        };
        let mut view = ThinkingView::new(&self.output, self.arguments.hide_thinking);
        let (output, logged) = (&mut self.output, &mut self.logged);
        let mut written = Ok(());
        #[cfg(feature = "dashboard")]
        if let Some(feed) = &mut self.feed {
            feed.begin(model.session.engine());
        }
        let generation = model.session.generate(&request, &mut |event| {
            if let Some(logged) = logged {
                logged.hear(&event);
            }
            #[cfg(feature = "dashboard")]
            let stopped = self.feed.as_mut().is_some_and(|feed| feed.event(&event).is_break());
            #[cfg(not(feature = "dashboard"))]
            let stopped = false;
            if let (Event::Segment(segment), Ok(())) = (event, &written) {
                written = view.show(output, segment);
            }
            if stopped || written.is_err() || interrupt::asked() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if let Some(logged) = logged {
            logged.write();
        }
        written?;
        let generation = generation?;
        #[cfg(feature = "dashboard")]
        if let Some(feed) = &mut self.feed {
            feed.finished(model.session.engine(), &generation);
        }
        // A line for each reply, be there nothing to show of it.
        let hidden = self.arguments.hide_thinking && generation.answer().is_empty();
        if generation.text.is_empty() || hidden || !output.line_ended() {
            output.text("\n")?;
        }
        Ok(generation)
    }

    /// Says why a reply ended, where that is not the model's own doing.
    fn remark(&mut self, generation: &Generation, model: &Model<'_>) -> Result<(), Ending> {
        let context = model.session.engine().context() as usize;
        let full = generation.stats.prompt_tokens + generation.ids.len() > context;
        match generation.finish_reason {
            FinishReason::Cancelled => self.output.note("(stopped)"),
            FinishReason::Length if full => {
                self.output.note(&format!("(the context of {context} tokens is full: /clear begins anew)"))
            }
            FinishReason::Length => {
                self.output.note(&format!("(stopped after {} tokens: --max-tokens)", generation.ids.len()))
            }
            FinishReason::Stop | FinishReason::Eos => Ok(()),
        }
    }
}

/// A reply as templates take it: what was thought goes apart, since most of them leave it out of later turns.
fn message(generation: &Generation) -> Message {
    let message = Message::new("assistant", generation.answer());
    match generation.thinking() {
        Some(thinking) => message.with("reasoning_content", thinking),
        None => message,
    }
}
