//! numpy's `.npy` format, version 1.0:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Rows of float32 on their way to a file. The file appears when it is complete, or not at all.
pub(crate) struct Writer {
    file: BufWriter<File>,
    part: Part,
    target: PathBuf,
    columns: usize,
    rows_left: usize,
}

/// A file beside the one to come; removed when it is dropped before it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Writer {
    /// Begins an array `[rows, columns]`.
    pub(crate) fn create(target: &Path, rows: usize, columns: usize) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let part = Part(target.with_file_name(name));
        let mut file = BufWriter::new(File::create(&part.0)?);
        file.write_all(&header(rows, columns))?;
        Ok(Self { file, part, target: target.to_owned(), columns, rows_left: rows })
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, values: &[f32]) -> io::Result<()> {
        assert_eq!(values.len(), self.columns, "a row of another length");
        self.rows_left -= 1;
        for value in values {
            self.file.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Puts the file in its place.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        assert_eq!(self.rows_left, 0, "rows are missing");
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.part.0, &self.target)
    }
}

/// Magic, version, length, and a Python dictionary padded so that the data begins at a multiple of 64.
fn header(rows: usize, columns: usize) -> Vec<u8> {
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let length = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(format!("{dictionary:<width$}\n", width = length - 1).as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_numpys() {
        let header = header(3, 49152);
        assert_eq!(header.len() % 64, 0);
        assert_eq!(&header[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(usize::from(header[8]) + usize::from(header[9]) * 256, header.len() - 10);
        assert!(header[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 49152), }"));
        assert_eq!(header.last(), Some(&b'\n'));
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("tools-npy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut writer = Writer::create(&folder.join("out.npy"), 2, 1).unwrap();
        writer.row(&[1.0]).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
