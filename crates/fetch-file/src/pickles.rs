//! Tells which pickles of a folder nothing loads, by the names of its files.
//!
//! A pickle that has the weights is a part of the model, and the policy decides about it. A pickle beside whole safetensors need not be
//! one: training leaves the state of its optimizer behind, and repositories keep the same weights in an older format too. So a pickle
//! stays out where its name says that it is the state of a training, or where safetensors of the same name and folder have its weights.

use std::collections::{BTreeSet, HashSet};

use provisioner_core::{Format, RelativePath, is_training_folder, is_training_state, reference::ShardName};

/// Returns the pickles in a folder that no engine loads, for other files of the folder are the whole model. `names` are the paths of
/// all its files.
///
/// It looks at names alone, so the answer is the same for as long as no file comes or goes. A pickle of which it is not sure is not
/// among them.
///
/// ```
/// use provisioner_core::RelativePath;
///
/// let names = ["model.safetensors", "optimizer.pt", "voices/a.pt"].map(|name| RelativePath::new(name).unwrap());
/// let found: Vec<_> = fetch_file::superfluous_pickles(&names).into_iter().collect();
/// assert_eq!(found, [&names[1]]);
/// ```
pub fn superfluous_pickles(names: &[RelativePath]) -> BTreeSet<&RelativePath> {
    // What else runs code when it is loaded is refused as a pickle is, and stays out as one does.
    let is_pickle = |path: &&RelativePath| Format::named(path.file_name()).is_some_and(Format::runs_code);
    let mut pickles = names.iter().filter(is_pickle).peekable();
    if pickles.peek().is_none() {
        return BTreeSet::new();
    }
    let others = Others::among(names);
    pickles.filter(|path| others.make_superfluous(path)).collect()
}

/// What a folder has beside its pickles.
struct Others {
    /// The folder and the stem of each file, or set, of safetensors.
    weights: HashSet<(String, String)>,
    has_gguf: bool,
    /// Whether the folder is a pipeline with a component in safetensors.
    is_pipeline: bool,
}

impl Others {
    fn among(names: &[RelativePath]) -> Self {
        let in_format =
            |format: Format| names.iter().filter(move |path| Format::named(path.file_name()) == Some(format));
        let weights: HashSet<_> = in_format(Format::Safetensors)
            .map(|path| (path.folder().to_ascii_lowercase(), stem_of(path.file_name())))
            .collect();
        let has_component = weights.iter().any(|(folder, _)| !folder.is_empty());
        let is_pipeline = has_component && names.iter().any(|path| path.as_str() == "model_index.json");
        Self { has_gguf: in_format(Format::Gguf).next().is_some(), is_pipeline, weights }
    }

    fn make_superfluous(&self, pickle: &RelativePath) -> bool {
        let folder = pickle.folder().to_ascii_lowercase();
        let stem = stem_of(pickle.file_name());
        // Beside whole weights, what a process of a training wrote is its state. By itself it may be the weights.
        if is_training_state(pickle.file_name()) {
            return self.has_gguf || !self.weights.is_empty();
        }
        // `model.fp16` and `consolidated.00` are forms of `model` and `consolidated`.
        let base = stem.split('.').next().unwrap_or_default();
        let forms = [stem.as_str(), base].map(|stem| {
            let rest =
                ["pytorch_model", "tf_model", "rust_model"].iter().find_map(|own| stem.strip_prefix(own));
            rest.map_or_else(|| stem.to_owned(), |rest| format!("model{rest}"))
        });
        forms.iter().any(|form| self.has(&folder, form))
            || (base == "consolidated" && self.has(&folder, "model"))
            || (is_kept_copy(&folder) && self.is_whole_at_top())
            || (folder.is_empty() && self.is_pipeline && is_checkpoint(pickle.file_name()))
    }

    fn has(&self, folder: &str, stem: &str) -> bool {
        self.weights.contains(&(folder.to_owned(), stem.to_owned()))
    }

    fn is_whole_at_top(&self) -> bool {
        self.has("", "model") || self.has("", "consolidated")
    }
}

/// Returns the name of a file in lower case, without its ending and without its number in a set.
fn stem_of(file_name: &str) -> String {
    let lower = file_name.to_ascii_lowercase();
    let stem = lower.rsplit_once('.').map_or(lower.as_str(), |(stem, _)| stem);
    // Pickles are numbered as safetensors are.
    let is_shard = ShardName::parse(&format!("{stem}.safetensors")).is_some();
    let numbered = stem.len().checked_sub("-00000-of-00000".len()).filter(|_| is_shard);
    numbered.and_then(|end| stem.get(..end)).unwrap_or(stem).to_owned()
}

/// Returns whether a folder keeps the model's weights once more: as they first came, or as they were in the midst of a training.
fn is_kept_copy(folder: &str) -> bool {
    folder.split('/').next() == Some("original") || folder.split('/').any(is_training_folder)
}

/// Returns whether a file may hold a whole pipeline, as its authors trained it.
fn is_checkpoint(file_name: &str) -> bool {
    file_name.to_ascii_lowercase().ends_with(".ckpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| RelativePath::new(*name).unwrap()).collect();
        let found: Vec<_> = superfluous_pickles(&names).into_iter().map(RelativePath::as_str).collect();
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn the_state_of_a_training_is_left_behind() {
        check(
            &["model.safetensors", "optimizer.pt", "rng_state_0.pth", "scheduler.pt", "training_args.bin"],
            &["optimizer.pt", "rng_state_0.pth", "scheduler.pt", "training_args.bin"],
        );
        check(
            &["checkpoint-500/pytorch_model.bin", "model-00001-of-00002.safetensors", "random_states_0.pkl"],
            &["checkpoint-500/pytorch_model.bin", "random_states_0.pkl"],
        );
        check(
            &["model.gguf", "global_step5/mp_rank_00_model_states.pt"],
            &["global_step5/mp_rank_00_model_states.pt"],
        );
        check(&["config.json", "optimizer.pt"], &[]);
        check(&["config.json", "mp_rank_00_model_states.pt"], &[]);
    }

    #[test]
    fn the_folders_of_a_training_are_those_that_a_choice_knows() {
        for kept in
            ["step_500/x.pt", "epoch-3/x.pt", "runs/1/x.pt", "a/checkpoint-7/x.pt", "GLOBAL_STEP9/x.pt"]
        {
            check(&[kept, "model.safetensors"], &[kept]);
        }
        for part in ["checkpoint-best/x.pt", "step/x.pt", "a/original/x.pt", "running/x.pt"] {
            check(&[part, "model.safetensors"], &[]);
        }
    }

    #[test]
    fn the_same_weights_in_safetensors_are_enough() {
        check(
            &[
                "model-00001-of-00002.safetensors",
                "pytorch_model-00001-of-00003.bin",
                "pytorch_model.fp16.bin",
            ],
            &["pytorch_model-00001-of-00003.bin", "pytorch_model.fp16.bin"],
        );
        check(
            &["model.safetensors", "other.h5", "rust_model.ot", "tf_model.h5"],
            &["rust_model.ot", "tf_model.h5"],
        );
        check(
            &["adapter_model.bin", "adapter_model.safetensors", "x.PT", "X.safetensors"],
            &["adapter_model.bin", "x.PT"],
        );
        check(&["model.safetensors", "original/consolidated.00.pth"], &["original/consolidated.00.pth"]);
        check(&["consolidated.00.pth", "consolidated.safetensors"], &["consolidated.00.pth"]);
        check(
            &[
                "a.ckpt",
                "model_index.json",
                "unet/diffusion_pytorch_model.bin",
                "unet/diffusion_pytorch_model.safetensors",
            ],
            &["a.ckpt", "unet/diffusion_pytorch_model.bin"],
        );
    }

    #[test]
    fn pickles_that_are_the_weights_belong_to_the_model() {
        for name in
            ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "voices/a.pt", "x.pt", "original/x.pth"]
        {
            check(&["adapter_model.safetensors", "config.json", name], &[]);
        }
        check(&["2_Dense/pytorch_model.bin", "model.safetensors", "voices/a.pt"], &[]);
        check(&["unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.safetensors"], &[]);
        check(&["checkpoint-x/a.pt", "model.safetensors"], &[]);
    }
}
