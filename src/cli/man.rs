//! `ffai man`: the manual page.

use super::arguments::Arguments;
use super::ending::Ending;
use super::output::Output;
use clap::CommandFactory as _;

pub(crate) fn run(output: &mut Output) -> Result<(), Ending> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(|error| Ending::write(&error))?;
    output.text(&String::from_utf8_lossy(&page))
}
