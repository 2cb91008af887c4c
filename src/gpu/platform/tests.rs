use super::*;

#[test]
fn thermal_states_have_the_systems_numbers() {
    let named: Vec<_> = (-1..6).map(Thermal::numbered).collect();
    let known = [Thermal::Nominal, Thermal::Fair, Thermal::Serious, Thermal::Critical].map(Some);
    assert_eq!(named[1..5], known);
    assert!([0, 5, 6].iter().all(|&index| named[index].is_none()));
}

#[test]
fn a_command_buffer_without_times_has_no_duration() {
    let time = |begun, ended| CommandBufferTime { begun, ended, error: None }.seconds();
    assert_eq!(time(1.5, 2.0), Some(0.5));
    assert_eq!([time(0.0, 2.0), time(2.0, 0.0), time(2.0, 1.5), time(0.0, 0.0)], [None; 4]);
}

#[test]
fn a_log_of_command_buffers_is_read_once_and_bounded() {
    let log = CommandBufferLog::default();
    for index in 0..LOGGED + 3 {
        let error = (index == 2).then(|| "page fault".to_owned());
        log.record(CommandBufferTime { begun: index as f64, ended: index as f64 + 1.0, error });
    }
    assert_eq!(log.failure().as_deref(), Some("page fault"));
    let times = log.take();
    assert_eq!((times.len(), times[1].begun), (LOGGED, 1.0));
    assert!(log.take().is_empty() && log.failure().is_none());
}

#[cfg(not(target_os = "macos"))]
#[test]
fn linux_tells_its_memory_and_its_processor() {
    // As /proc/meminfo and /proc/cpuinfo of Linux 6.1 begin.
    let meminfo = "MemTotal:       32780000 kB\nMemFree:         1000000 kB\nMemAvailable:   24000000 kB\n";
    assert_eq!(system::mem_available(meminfo), Some(24_576_000_000));
    assert_eq!(system::mem_available("MemTotal: 1 kB\n"), None);
    assert_eq!(system::mem_available("MemAvailable: 18446744073709551615 kB\n"), None);
    let cpuinfo = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9B14\n";
    assert_eq!(system::model_name(cpuinfo).as_deref(), Some("AMD EPYC 9B14"));
    assert_eq!(system::model_name("processor\t: 0\n"), None);
}

#[cfg(target_os = "macos")]
mod on_a_mac {
    use super::*;
    use crate::gpu::{Gpu, GpuOptions};
    use crate::graph::Executor;

    #[test]
    fn the_machine_describes_itself() {
        let chip = chip();
        assert!(chip.name.is_some_and(|name| !name.is_empty()));
        assert!(chip.gpu_cores.is_none_or(|cores| (1..=1024).contains(&cores)));
        assert!(thermal().is_some());
    }

    #[test]
    fn the_device_tells_its_memory_and_its_clock() {
        let gpu = Gpu::open(&GpuOptions::default()).unwrap();
        let memory = gpu.device_memory().unwrap();
        assert!(memory.max_buffer > 0);
        assert!(gpu.memory().budget.is_none_or(|budget| budget > 0));
        let [first, second] = [(); 2].map(|()| sample_clock(&gpu.device).unwrap());
        assert!(second.ticks > first.ticks);
    }

    #[test]
    fn watched_command_buffers_have_times_and_no_error() {
        let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
        assert!(gpu.watch());
        gpu.flush().unwrap();
        let buffer = gpu.allocate("x", crate::graph::BufferRole::Step, 256).unwrap();
        gpu.write(buffer, 0, &[7; 256]);
        let read = gpu.read(crate::graph::Slice { buffer, offset: 0, bytes: 256 }).unwrap();
        assert_eq!(read, [7; 256]);
        // The handler may run after the wait has returned.
        std::thread::sleep(Duration::from_millis(200));
        let times = gpu.command_buffers();
        assert!(times.iter().any(|time| time.seconds().is_some()), "{times:?}");
        assert!(times.iter().all(|time| time.error.is_none()), "{times:?}");
    }
}
