//! Lines that begin with `/`.

use super::super::ending::Ending;
use std::path::PathBuf;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// To be said to the model.
    Say(String),
    Command(Command),
    Nothing,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Clear,
    /// Shows the system text, or sets it.
    System(Option<String>),
    Stats,
    /// Shows the model, or takes another.
    Model(Option<String>),
    Save(PathBuf),
    Load(PathBuf),
    Quit,
}

/// Name, argument, what it does.
const COMMANDS: [(&str, &str, &str); 8] = [
    ("/help", "", "lists the commands"),
    ("/clear", "", "forgets the conversation; the system text stays"),
    ("/system", "TEXT", "sets what the model is told first (`-` removes it); alone, shows it"),
    ("/stats", "", "shows times and memory of the last reply"),
    ("/model", "NAME", "goes on with another model; alone, shows which it is"),
    ("/save", "FILE", "writes the conversation to a file"),
    ("/load", "FILE", "goes on with a conversation from a file"),
    ("/quit", "", "ends the program, as Ctrl-D does"),
];

/// What `/help` prints.
pub(super) fn help() -> String {
    let line = |(name, argument, about): &(&str, &str, &str)| {
        let usage = format!("{name} {argument}");
        format!("  {usage:<14} {about}\n")
    };
    let list: String = COMMANDS.iter().map(line).collect();
    format!(
        "{list}Ctrl-C stops a reply and keeps what was said so far. A line that ends in `\\` goes on in the next; one that begins \
         with a space is said as it is."
    )
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Input, Ending> {
    let text = line.trim();
    if text.is_empty() {
        return Ok(Input::Nothing);
    }
    if !line.starts_with('/') {
        return Ok(Input::Say(text.to_owned()));
    }
    let (name, argument) = text.split_once(char::is_whitespace).map_or((text, ""), |(name, rest)| (name, rest.trim()));
    let optional = || (!argument.is_empty()).then(|| argument.to_owned());
    let alone = |command| match argument {
        "" => Ok(command),
        _ => Err(Ending::failed(format!("{name} takes nothing, found `{argument}`"), None)),
    };
    let file = || match argument {
        "" => Err(Ending::failed(format!("{name}: expected a file, found none"), Some(format!("{name} FILE")))),
        _ => Ok(path(argument)),
    };
    Ok(Input::Command(match name {
        "/help" => alone(Command::Help)?,
        "/clear" => alone(Command::Clear)?,
        "/system" => Command::System(optional()),
        "/stats" => alone(Command::Stats)?,
        "/model" => Command::Model(optional()),
        "/save" => Command::Save(file()?),
        "/load" => Command::Load(file()?),
        "/quit" => alone(Command::Quit)?,
        _ => {
            let names: Vec<&str> = COMMANDS.iter().map(|command| command.0).collect();
            let message = format!("unknown command {name}: expected one of {}", names.join(", "));
            return Err(Ending::failed(message, Some("begin the line with a space to say it to the model".to_owned())));
        }
    }))
}

/// A path as a shell would read it: a leading `~/` is the home folder.
fn path(text: &str) -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        match parse(line).unwrap() {
            Input::Command(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_are_told_from_what_is_said() {
        assert_eq!(command("/system  Be brief. "), Command::System(Some("Be brief.".to_owned())));
        assert_eq!(command("/model"), Command::Model(None));
        assert_eq!(command("/save a b.json"), Command::Save(PathBuf::from("a b.json")));
        assert_eq!(command("/quit "), Command::Quit);
        assert_eq!(parse(" /etc/passwd?").unwrap(), Input::Say("/etc/passwd?".to_owned()));
        assert_eq!(parse("a /help").unwrap(), Input::Say("a /help".to_owned()));
        assert_eq!(parse(" \t").unwrap(), Input::Nothing);
    }

    #[test]
    fn unknown_commands_are_answered_with_the_list() {
        let Err(Ending::Failed { message, hint, .. }) = parse("/halp me") else { panic!() };
        assert!(message.starts_with("unknown command /halp: expected one of /help, /clear, "), "{message}");
        assert!(hint.is_some());
        assert!(parse("/clear all").is_err() && parse("/save").is_err() && parse("/").is_err());
    }

    #[test]
    fn help_names_every_command() {
        for (name, ..) in COMMANDS {
            assert!(help().contains(&format!("\n  {name} ")) || help().starts_with(&format!("  {name} ")));
            assert!(!matches!(parse(&format!("{name} x")), Ok(Input::Say(_))), "{name}");
        }
    }
}
