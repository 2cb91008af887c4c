//! A dispatch in a child process, which may crash or hang without harm.

use super::{Launch, Layer, Loads, Outcome, Program, Schedule, toolchain};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Seconds beyond its limit after which a child that has not ended itself is ended.
const GRACE: u64 = 15;

pub(super) fn run(program: &Program, launch: &Launch<'_>) -> Result<Outcome, String> {
    assert_eq!(launch.buffers.len(), launch.writable.len(), "one flag per buffer");
    let mut child = Command::new(&program.runtime)
        .arg(&program.object)
        .env_remove("ASAN_OPTIONS")
        .env_remove("UBSAN_OPTIONS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.runtime.display()))?;
    let (Some(mut input), Some(mut output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("a child without pipes".to_owned());
    };
    let (sender, receiver) = mpsc::channel();
    let (bytes, text, hung) = std::thread::scope(|scope| {
        // A child that ends early does not read everything; what it says on its errors counts.
        scope.spawn(move || {
            let _ = write_job(&mut input, program, launch);
        });
        let errors = scope.spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
        let bytes = receiver.recv_timeout(Duration::from_secs(program.seconds + GRACE));
        let hung = bytes.is_err();
        if hung {
            let _ = child.kill();
        }
        (bytes.unwrap_or_default(), errors.join().unwrap_or_default(), hung)
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    if hung {
        return Err(format!("{}: did not finish within {} s", heading(program, launch), program.seconds + GRACE));
    }
    if !status.success() {
        let said = diagnosis(&text).unwrap_or_else(|| format!("ended with {status}: {}", text.trim()));
        let said = toolchain::toolchain()?.with_lines(&program.object, &said);
        return Err(format!("{}: {said}", heading(program, launch)));
    }
    read_outcome(&bytes, program, launch)
        .ok_or_else(|| format!("{}: the child wrote {} bytes", heading(program, launch), bytes.len()))
}

fn heading(program: &Program, launch: &Launch<'_>) -> String {
    format!("{}, `{}`, layer {:?}, schedule {:?}", program.name, launch.entry, program.layer, launch.schedule)
}

/// The runtime's own lines, and those of the undefined-behaviour sanitizer.
fn diagnosis(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("msl: ").or_else(|| line.find("runtime error: ").map(|_| line)))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn write_job(to: &mut impl std::io::Write, program: &Program, launch: &Launch<'_>) -> std::io::Result<()> {
    let mut to = std::io::BufWriter::with_capacity(1 << 16, to);
    let (schedule, seed) = match launch.schedule {
        Schedule::Forward => (0, 0),
        Schedule::Reverse => (1, 0),
        Schedule::Random(seed) => (2, seed),
    };
    let mut word = |value: u64| to.write_all(&value.to_le_bytes());
    word(launch.entry.len() as u64)?;
    to.write_all(launch.entry.as_bytes())?;
    let words = [launch.workgroups, launch.threads].concat().into_iter().map(u64::from).chain([
        schedule,
        seed,
        program.seconds,
        u64::from(program.layer == Layer::Races),
        u64::from(program.layer == Layer::Loads),
        launch.buffers.len() as u64,
    ]);
    for value in words {
        to.write_all(&value.to_le_bytes())?;
    }
    for (bytes, writable) in launch.buffers.iter().zip(launch.writable) {
        to.write_all(&u64::from(*writable).to_le_bytes())?;
        to.write_all(&(bytes.len() as u64).to_le_bytes())?;
        to.write_all(bytes)?;
    }
    to.flush()
}

fn read_outcome(mut bytes: &[u8], program: &Program, launch: &Launch<'_>) -> Option<Outcome> {
    let mut buffers = Vec::with_capacity(launch.buffers.len());
    for (old, writable) in launch.buffers.iter().zip(launch.writable) {
        if *writable {
            buffers.push(bytes.split_off(..old.len())?.to_vec());
        } else {
            buffers.push(old.clone());
        }
    }
    let mut word = || Some(u64::from_le_bytes(bytes.split_off(..8)?.try_into().ok()?));
    let mut loads = Vec::new();
    if program.layer == Layer::Loads {
        let workgroups: u32 = launch.workgroups.iter().product();
        for _ in launch.buffers {
            let (total, distinct, stored) = (word()?, word()?, word()?);
            let workgroups = (0..workgroups).map(|_| word()).collect::<Option<_>>()?;
            loads.push(Loads { total, distinct, stored, workgroups });
        }
    }
    bytes.is_empty().then_some(Outcome { buffers, loads })
}
