//! Golden folders of safetensors, taken apart so that they can be put together wrongly.

use crate::folder::Folder;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// One entry of a file's header, and its data.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: Vec<u8>,
}

/// A folder to be: one file of weights, what describes them, and everything else as it was.
#[derive(Clone)]
pub(crate) struct FolderWriter {
    pub(crate) config: Value,
    pub(crate) tensors: Vec<Tensor>,
    /// In place of `config`.
    pub(crate) config_bytes: Option<Vec<u8>>,
    /// Files that are copied.
    pub(crate) others: Vec<PathBuf>,
}

impl FolderWriter {
    /// The folder of this name under `tests/golden`.
    pub(crate) fn golden(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let config = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        let file = std::fs::read(folder.join("model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap().tensors();
        let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| Tensor {
            name,
            dtype: format!("{:?}", view.dtype()),
            shape: view.shape().iter().map(|&dim| dim as u64).collect(),
            data: view.data().to_vec(),
        };
        let others = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let others = others.filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name != "config.json" && !name.contains("safetensors")
        });
        let mut tensors: Vec<Tensor> = tensors.into_iter().map(tensor).collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Self { config, tensors, config_bytes: None, others: others.collect() }
    }

    /// Sets a key of `config.json`, in objects by dots.
    pub(crate) fn with(mut self, path: &str, value: Value) -> Self {
        let (objects, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut self.config;
        for part in objects.split('.').filter(|part| !part.is_empty()) {
            if !at[part].is_object() {
                at[part] = json!({});
            }
            at = &mut at[part];
        }
        at[key] = value;
        self
    }

    /// Drops a key of `config.json`.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.config.as_object_mut().unwrap().remove(key);
        self
    }

    /// Changes a tensor.
    pub(crate) fn change(mut self, name: &str, change: impl FnOnce(&mut Tensor)) -> Self {
        change(self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap());
        self
    }

    /// Gives a tensor another type and shape, with as many zeros as it takes at `bits` each.
    pub(crate) fn shape(self, name: &str, dtype: &str, bits: u64, shape: &[u64]) -> Self {
        self.change(name, |tensor| {
            tensor.dtype = dtype.to_owned();
            tensor.shape = shape.to_vec();
            tensor.data = vec![0; (shape.iter().product::<u64>() * bits / 8) as usize];
        })
    }

    /// Drops a tensor.
    pub(crate) fn lose(mut self, name: &str) -> Self {
        let before = self.tensors.len();
        self.tensors.retain(|tensor| tensor.name != name);
        assert_eq!(self.tensors.len() + 1, before, "no tensor {name}");
        self
    }

    /// Adds a tensor of zeros in F32.
    pub(crate) fn add(mut self, name: &str, shape: &[u64]) -> Self {
        let data = vec![0; shape.iter().product::<u64>() as usize * 4];
        self.tensors.push(Tensor { name: name.to_owned(), dtype: "F32".to_owned(), shape: shape.to_vec(), data });
        self
    }

    /// A copy of a tensor under another name.
    pub(crate) fn copy(mut self, name: &str, to: &str) -> Self {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name).unwrap();
        self.tensors.push(Tensor { name: to.to_owned(), ..tensor.clone() });
        self
    }

    fn safetensors(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for Tensor { name, dtype, shape, data: own } in &self.tensors {
            let start = data.len();
            data.extend(own);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
            header.insert(name.clone(), entry);
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    /// Writes it to a folder that goes away with its owner.
    pub(crate) fn write(&self) -> Folder {
        let folder = Folder::new();
        let config = || serde_json::to_vec(&self.config).unwrap();
        folder.write("config.json", &self.config_bytes.clone().unwrap_or_else(config));
        folder.write("model.safetensors", &self.safetensors());
        for other in &self.others {
            std::fs::copy(other, folder.0.join(other.file_name().unwrap())).unwrap();
        }
        folder
    }
}
