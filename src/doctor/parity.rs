//! Runs a kernel's cases on an executor and compares them with the twin.

use crate::cpu::Cpu;
use crate::graph::{BufferRole, Case, Element, ExecuteError, Executor, Operand, Tolerance};
use crate::measure::difference;
use half::f16;

/// A NaN that no kernel makes: what it does not write stays recognizable.
const POISON: u32 = 0xFFC0_DEAD;

/// What a case leaves in the places it checks. The executor must hold no buffers: cases name theirs by position.
///
/// # Errors
/// What the device reports.
pub fn run(executor: &mut dyn Executor, case: &Case) -> Result<Vec<Vec<u8>>, ExecuteError> {
    with_buffers(executor, case, submit)
}

/// Has `what` done while the executor holds the buffers of a case, which it must hold alone.
pub(super) fn with_buffers<T>(
    executor: &mut dyn Executor,
    case: &Case,
    what: impl FnOnce(&mut dyn Executor, &Case) -> Result<T, ExecuteError>,
) -> Result<T, ExecuteError> {
    let mut buffers = Vec::new();
    for (index, bytes) in case.buffers.iter().enumerate() {
        let id = executor.allocate("case", BufferRole::Weights, bytes.len() as u64)?;
        assert_eq!(id.0 as usize, index, "cases name buffers by position: the executor must be empty");
        executor.write(id, 0, bytes);
        buffers.push(id);
    }
    let result = what(executor, case);
    for id in buffers {
        executor.free(id);
    }
    result
}

fn submit(executor: &mut dyn Executor, case: &Case) -> Result<Vec<Vec<u8>>, ExecuteError> {
    let prepared = executor.prepare(case.plan.clone())?;
    for info in &case.plan.tensors {
        let poison = vec![POISON; info.tensor.bytes() as usize / 4];
        executor.write_tensor(prepared, info.tensor, bytemuck::cast_slice(&poison));
    }
    for (tensor, bytes) in &case.inputs {
        executor.write_tensor(prepared, *tensor, bytes);
    }
    let tensors: Vec<Operand> =
        case.checks.iter().map(|check| check.0).filter(|operand| matches!(operand, Operand::Tensor(_))).collect();
    let ticket = executor.submit(prepared, &tensors)?;
    let all = executor.wait(ticket)?;
    let mut rest = all.as_slice();
    let mut results = Vec::new();
    for (operand, _) in &case.checks {
        results.push(match operand {
            Operand::Slice(slice) => executor.read(*slice)?,
            Operand::Tensor(tensor) => {
                let (bytes, others) = rest.split_at(tensor.bytes() as usize);
                rest = others;
                bytes.to_vec()
            }
        });
    }
    executor.discard(prepared);
    Ok(results)
}

/// The reference of a case: what the CPU twins leave.
///
/// # Errors
/// Where the case does not fit the memory of the host.
pub fn twin(case: &Case) -> Result<Vec<Vec<u8>>, ExecuteError> {
    run(&mut Cpu::new(None), case)
}

/// The largest NMSE of what the case checks.
///
/// # Errors
/// What differs beyond `tolerance`, with the kernel's name, the case and its seed.
pub fn compare(
    name: &str,
    case: &Case,
    got: &[Vec<u8>],
    want: &[Vec<u8>],
    tolerance: Tolerance,
) -> Result<f64, String> {
    let mut largest: f64 = 0.0;
    for (index, (_, element)) in case.checks.iter().enumerate() {
        let (got, want) = (&got[index], &want[index]);
        let place = format!("{name}: {} (seed {}), check {index}", case.label, case.seed);
        if *element == Element::U32 {
            if got != want {
                let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or(0) / 4;
                return Err(format!("{place}: words differ at {at}"));
            }
            continue;
        }
        // Bits that nothing wrote are equal on both sides and not compared as numbers.
        let (got, want): (Vec<f32>, Vec<f32>) = floats(got, *element)
            .into_iter()
            .zip(floats(want, *element))
            .filter(|(got, want)| got.to_bits() != want.to_bits() || got.is_finite())
            .unzip();
        let d = difference(&got, &want);
        let (nmse, worst) = match element {
            // A value near the middle of two halves may round either way: one unit in the last place of ten bits.
            Element::F16 => (1e-7, 2e-3 * 4.0),
            _ => (tolerance.nmse, tolerance.worst),
        };
        if d.nmse > nmse || d.worst > worst {
            let at = d.worst_index;
            return Err(format!(
                "{place}: nmse {:e} (at most {nmse:e}), worst {:e} (at most {worst:e}): got {} want {} at {at}",
                d.nmse, d.worst, got[at], want[at]
            ));
        }
        if *element == Element::F32 {
            largest = largest.max(d.nmse);
        }
    }
    Ok(largest)
}

fn floats(bytes: &[u8], element: Element) -> Vec<f32> {
    match element {
        Element::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Element::F32 | Element::U32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
    }
}
