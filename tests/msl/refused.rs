use crate::msl_emu::check;

#[test]
fn try_bad() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/msl_emu/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let t = std::time::Instant::now();
        let r = check(file.file_name().unwrap().to_str().unwrap(), &text);
        println!("{} {:?} {:?}", file.file_stem().unwrap().to_str().unwrap(), t.elapsed(), r);
    }
}
