//! Tells by its name what a training leaves behind.

/// The names of files that only a training reads.
const FILES: [&str; 8] = [
    "trainer_state.json",
    "trainer_log.jsonl",
    "trainer_config.yaml",
    "training_args.json",
    "all_results.json",
    "train_results.json",
    "eval_results.json",
    "latest",
];

/// Names pickles that continue a training, without their endings.
const PICKLES: [&str; 8] = [
    "training_args",
    "optimizer",
    "optimizer_state",
    "scheduler",
    "lr_scheduler",
    "scaler",
    "trainer_state",
    "sampler",
];

/// The beginnings of the names of files that continue a training, where a number of a process or of a part follows.
const BEGINNINGS: [&str; 9] = [
    "optimizer.",
    "optimizer_",
    "optimizer-",
    "rng_state",
    "random_states",
    "events.out.tfevents",
    "zero_pp_rank",
    "mp_rank",
    "bf16_zero_pp_rank",
];

/// Returns whether a file continues or reports a training, by its name in any letter case: the state of an optimizer, of a scheduler
/// or of random numbers, or a log. No engine loads such a file.
///
/// ```
/// use provisioner_core::is_training_state;
///
/// assert!(is_training_state("optimizer.pt") && is_training_state("training_args.bin"));
/// assert!(!is_training_state("scheduler_config.json") && !is_training_state("scaler.joblib"));
/// ```
pub fn is_training_state(file_name: &str) -> bool {
    let name = file_name.to_ascii_lowercase();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    let is_of_torch = ["pt", "pth", "bin"].contains(&ending);
    FILES.contains(&name.as_str())
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || (is_of_torch && (PICKLES.contains(&stem) || stem.starts_with("scheduler_")))
        || stem.ends_with("_optim_states")
        || ending == "distcp"
}

/// The names of folders that a training writes.
const FOLDERS: [&str; 8] =
    ["runs", "wandb", "tensorboard", "tb_logs", "logs", "mlruns", "checkpoints", "global_step"];

/// The beginnings of the names of folders that a training writes, where a number follows.
const STEPS: [&str; 8] =
    ["checkpoint-", "checkpoint_", "global_step", "step-", "step_", "epoch-", "epoch_", "iter_"];

/// Returns whether a folder holds what a training wrote on its way: its logs, or the model as it was after a number of steps. It looks
/// at the name of the folder, in any letter case, and at none above it.
///
/// ```
/// use provisioner_core::is_training_folder;
///
/// assert!(is_training_folder("checkpoint-500") && is_training_folder("global_step1000"));
/// assert!(!is_training_folder("checkpoint-best") && !is_training_folder("step"));
/// ```
pub fn is_training_folder(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    FOLDERS.contains(&name.as_str())
        || STEPS.iter().any(|start| name.strip_prefix(start).is_some_and(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_training_leaves_behind_is_told_by_its_name() {
        for name in [
            "trainer_state.json",
            "All_Results.json",
            "latest",
            "training_args.bin",
            "optimizer.pt",
            "lr_scheduler.pth",
            "scheduler_1.bin",
            "optimizer.safetensors",
            "optimizer_0.distcp",
            "optimizer-00001-of-00002.bin",
            "RNG_state_3.pth",
            "random_states_0.pkl",
            "events.out.tfevents.1700000000.host",
            "zero_pp_rank_0_mp_rank_00_model_states.pt",
            "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt",
            "mp_rank_00_optim_states.pt",
            "__0_0.distcp",
        ] {
            assert!(is_training_state(name), "{name}");
        }
    }

    #[test]
    fn what_an_engine_may_load_is_not_the_state_of_a_training() {
        for name in [
            "scheduler_config.json",
            "scheduler_1.json",
            "scheduler.json",
            "scaler.joblib",
            "sampler.py",
            "latest.safetensors",
            "my_optimizer.pt",
            "training_args",
            "distcp",
            "model.safetensors",
            "",
        ] {
            assert!(!is_training_state(name), "{name}");
        }
    }
}
