//! What was said, and its file.

use super::super::ending::Ending;
use super::super::fetching::printable;
use ffai::text::Message;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The largest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A conversation, as it stands in files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conversation {
    /// The model that it was held with.
    #[serde(default)]
    pub(super) model: String,
    /// What the model is told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<String>,
    pub(super) messages: Vec<Message>,
}

impl Conversation {
    /// All messages, the system's first.
    pub(super) fn messages(&self) -> Vec<Message> {
        let system = self.system.iter().map(|text| Message::new("system", text.as_str()));
        system.chain(self.messages.iter().cloned()).collect()
    }

    /// Writes the file; what was there before stays whole until the new one is.
    pub(super) fn save(&self, path: &Path) -> Result<(), Ending> {
        let failed =
            |error: std::io::Error| Ending::failed(format!("cannot save to {}: {error}", path.display()), None);
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(text.as_bytes()));
        let renamed = written.and_then(|()| std::fs::rename(&part, path));
        renamed.map_err(|error| {
            let _ = std::fs::remove_file(&part);
            failed(error)
        })
    }

    /// Reads a file.
    pub(super) fn load(path: &Path) -> Result<Self, Ending> {
        let place = path.display();
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        file.map_err(|error| Ending::failed(format!("cannot load {place}: {error}"), None))?;
        let expected = "expected the JSON object that /save writes";
        let hint = Some("{\"system\": TEXT, \"messages\": [{\"role\": \"user\", \"content\": TEXT}, …]}".to_owned());
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Ending::failed(format!("{place}: {expected}, found more than {MOST_BYTES} bytes"), hint));
        }
        // serde takes a list of the fields for an object with them.
        let begins = bytes.trim_ascii_start().first();
        if begins.is_some_and(|&byte| byte != b'{') {
            return Err(Ending::failed(format!("{place}: {expected}, found no object"), hint));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            // Field names of a file of any kind may be quoted in there.
            let error = printable(&error.to_string().chars().take(200).collect::<String>());
            Ending::failed(format!("{place}: {expected}: {error}"), hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("ffai-conversation-{name}-{}.json", std::process::id()))
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let messages = vec![
            Message::new("user", "Wie heißt du?\n\"\u{1b}"),
            Message::new("assistant", "").with("reasoning_content", "Hm."),
        ];
        let conversation = Conversation { model: "m".to_owned(), system: Some("s".to_owned()), messages };
        let path = file("whole");
        conversation.save(&path).unwrap();
        conversation.save(&path).unwrap();
        assert_eq!(Conversation::load(&path).unwrap(), conversation);
        std::fs::remove_file(path).unwrap();
        assert_eq!(conversation.messages().len(), 3);
        assert!(conversation.save(Path::new("/no/such/folder/file")).is_err());
        assert!(conversation.save(Path::new("/")).is_err());
    }

    #[test]
    fn files_of_other_kinds_are_refused() {
        let bad = [
            ("", "EOF"),
            ("[]", "found no object"),
            ("GGUF", "found no object"),
            ("{}", "missing field `messages`"),
            (r#"{"messages": [{"content": "x"}]}"#, "role"),
            (r#"{"messages": [{"role": 3}]}"#, "role"),
            (r#"{"messages": "x"}"#, "expected a sequence"),
            (r#"{"messages": [], "system": 3}"#, "expected a string"),
            ("{\"messages\": [], \"\\u001b[2J\": 3}", "\\u{1b}"),
        ];
        let path = file("bad");
        for (content, expected) in bad {
            std::fs::write(&path, content).unwrap();
            let Err(Ending::Failed { message, hint, .. }) = Conversation::load(&path) else { panic!("{content}") };
            assert!(message.contains(expected) && !message.contains(char::is_control), "{content}: {message}");
            assert!(hint.is_some());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Conversation::load(&path).is_err());
    }
}
