use super::*;
use std::sync::Mutex;

/// Everything it was told, by thread.
#[derive(Default)]
struct Told(Mutex<Vec<(std::thread::ThreadId, String)>>);

impl Told {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push((std::thread::current().id(), what));
    }

    /// What this thread told it.
    fn mine(&self) -> Vec<String> {
        let mine = std::thread::current().id();
        self.0.lock().unwrap().iter().filter(|(thread, _)| *thread == mine).map(|(_, what)| what.clone()).collect()
    }
}

impl Sink for Told {
    fn begin(&self, name: &'static str) {
        self.note(format!("begin {name}"));
    }
    fn end(&self, name: &'static str) {
        self.note(format!("end {name}"));
    }
    fn event(&self, name: &'static str) {
        self.note(format!("event {name}"));
    }
    fn plot(&self, name: &'static str, value: f64) {
        self.note(format!("plot {name} {value}"));
    }
    fn frame(&self) {
        self.note("frame".to_owned());
    }
}

/// One test, because levels are the whole process's.
#[test]
fn each_level_tells_what_it_says() {
    let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let run = || {
        time("phase", || {
            let _span = span("span");
            event("event");
            plot("plot", 2.5);
        });
        frame();
    };
    let attached = [attach(first.clone()), attach(second.clone())];
    set_level(Level::Off);
    run();
    assert!(phases().is_empty() && first.mine().is_empty() && !listening());

    set_level(Level::Phases);
    run();
    assert_eq!(phases().iter().map(|phase| (phase.name, phase.runs)).collect::<Vec<_>>(), [("phase", 1)]);
    assert!(first.mine().is_empty());

    set_level(Level::Spans);
    run();
    let expected = ["begin phase", "begin span", "event event", "plot plot 2.5", "end span", "end phase", "frame"];
    assert_eq!(first.mine(), expected);
    assert_eq!(second.mine(), expected);
    assert_eq!(phases().iter().map(|phase| phase.runs).collect::<Vec<_>>(), [2]);

    // A span that began before its reader left ends for those that stayed.
    let open = span("late");
    detach(attached[0]);
    drop(open);
    assert_eq!(first.mine().last().unwrap(), "begin late");
    assert_eq!(second.mine().last().unwrap(), "end late");
    detach(attached[1]);
    assert!(!listening());

    reset_phases();
    assert!(phases().is_empty());
    set_level(Level::Off);
    assert_eq!(Level::numbered(3), Some(Level::Ops));
    assert_eq!(Level::numbered(4), None);
}
