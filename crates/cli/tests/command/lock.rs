//! The command writes lock files, checks them, and holds models to them.

use serde_json::Value;
use testkit::{
    Hub, gguf_of,
    hub::{Fault, FaultKind, Origin},
};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub::{command, run},
};

const ID: &str = "hf:org/a/a.gguf";
const OTHER: &str = "hf:org/b:Q4_0";

/// Publishes other bytes for each seed, and returns the commit of the first repository.
fn publish(hub: &Hub, seed: usize) -> String {
    hub.repo("org/b").lfs("b-Q4_0.gguf", gguf_of(5000, seed + 10)).file("x.json", "{}").publish();
    hub.repo("org/a").lfs("a.gguf", gguf_of(5000, seed)).publish().to_string()
}

fn lock_text(bench: &Fixture) -> String {
    fs_err::read_to_string(bench.path("models.lock")).unwrap()
}

#[track_caller]
fn done(finished: &Finished) {
    assert_eq!(finished.status, 0, "{}{}", finished.stdout, finished.stderr);
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
}

/// Runs the command where the hub is gone.
fn without_hub(bench: &Fixture, args: &[&str]) -> Finished {
    finish(&mut command(bench, "http://127.0.0.1:1", args))
}

#[test]
fn a_lock_file_is_sorted_and_names_one_file_a_line() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let commit = publish(&hub, 1);
    let locked = run(&bench, &hub, &["lock", OTHER, ID]);
    done(&locked);
    assert!(locked.stdout.starts_with(&format!("added      {OTHER} at ")), "{}", locked.stdout);
    let text = lock_text(&bench);
    let found: Vec<_> = text.lines().filter(|line| line.starts_with("ref")).collect();
    assert_eq!(found, [format!("ref = \"{ID}\""), format!("ref = \"{OTHER}\"")]);
    assert!(
        text.starts_with("version = 1\n")
            && text.contains(&format!("revision = \"{commit}\"\ndir_hash = \""))
    );
    assert!(text.contains("files = [\n  { path = \"a.gguf\", size = 5000, sha256 = \""), "{text}");
    assert_eq!(hub.bytes_sent("a.gguf"), 0);
    // One that is there stays as it is when another one is locked again.
    publish(&hub, 2);
    let again = run(&bench, &hub, &["lock", OTHER, "--json"]);
    assert_eq!(json(&again)["models"][0]["change"], "changed");
    assert!(lock_text(&bench).contains(&commit), "the other entry stays");
    let third = run(&bench, &hub, &["lock", OTHER, "--json"]);
    assert_eq!(json(&third)["models"][0]["change"], "unchanged");
}

#[test]
fn locked_models_are_ensured_planned_and_run_with_the_hub_moved_on_and_gone() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let commit = publish(&hub, 1);
    done(&run(&bench, &hub, &["lock", ID, OTHER]));
    publish(&hub, 2);
    let plan = without_hub(&bench, &["plan", "--locked", "models.lock", "--json"]);
    let plan = json(&plan);
    assert_eq!((plan.as_array().unwrap().len(), &plan[0]["revision"]), (2, &commit.as_str().into()));
    assert_eq!(plan[0]["download_bytes"], 5000);
    hub.reset_counts();
    let ensured = run(&bench, &hub, &["ensure", "--locked", "models.lock", "--json"]);
    done(&ensured);
    let models = json(&ensured);
    assert_eq!(models.as_array().unwrap().len(), 2);
    assert_eq!(
        (&models[0]["revision"], &models[0]["verification"]["basis"]),
        (&commit.as_str().into(), &"pinned".into())
    );
    assert_eq!(hub.count(|seen| seen.path.ends_with("/revision/main")), 0);
    let path = models[0]["local_path"].as_str().unwrap();
    assert!(fs_err::read(path).unwrap() == gguf_of(5000, 1));
    let before = lock_text(&bench);
    let offline = without_hub(&bench, &["ensure", ID, "--locked", "models.lock"]);
    assert_eq!(offline.stdout.trim_end(), path);
    let engine = without_hub(&bench, &["run", ID, "--locked", "models.lock", "--", "echo", "{path}"]);
    assert_eq!(engine.stdout.trim_end(), path);
    assert_eq!(lock_text(&bench), before, "only `lock` writes it");
}

#[test]
fn what_is_not_locked_and_what_has_other_bytes_have_codes_of_their_own() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    publish(&hub, 1);
    done(&run(&bench, &hub, &["lock", ID]));
    for args in [&["ensure", OTHER][..], &["plan", OTHER], &["run", OTHER, "--", "true"]] {
        let mut all = args.to_vec();
        all.splice(1..1, ["--locked", "models.lock", "--json"]);
        let refused = run(&bench, &hub, &all);
        let error = json(&refused)["error"].clone();
        assert_eq!((refused.status, &error["code"]), (5, &"not-locked".into()), "{args:?}");
        let expected = format!("`model-provisioner lock {OTHER} -o models.lock` adds it");
        assert_eq!(error["hint"], expected.as_str());
    }
    hub.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(4999)));
    let other = run(&bench, &hub, &["ensure", "--locked", "models.lock", "--json"]);
    assert_eq!((other.status, &json(&other)["error"]["code"]), (4, &"digest-mismatch".into()));
}

#[test]
fn a_check_lists_what_has_moved_and_an_upgrade_takes_the_named_ones() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let old = publish(&hub, 1);
    done(&run(&bench, &hub, &["lock", ID, OTHER]));
    done(&run(&bench, &hub, &["lock", "--check"]));
    let new = publish(&hub, 2);
    let text = lock_text(&bench);
    let moved = run(&bench, &hub, &["lock", "--check"]);
    assert_eq!(moved.status, 1, "{}", moved.stderr);
    assert!(moved.stdout.starts_with(&format!("moved    {ID} from {old} to {new}")), "{}", moved.stdout);
    assert!(moved.stderr.contains("hint: `model-provisioner lock --upgrade`"), "{}", moved.stderr);
    assert_eq!(lock_text(&bench), text, "a check writes nothing");
    let upgraded = run(&bench, &hub, &["lock", "--upgrade", ID]);
    done(&upgraded);
    let checked = run(&bench, &hub, &["lock", "--check", "--json"]);
    let states: Vec<_> =
        json(&checked)["models"].as_array().unwrap().iter().map(|model| model["state"].clone()).collect();
    assert_eq!((checked.status, states), (1, vec!["current".into(), "moved".into()]));
    let absent = run(&bench, &hub, &["lock", "--upgrade", "hf:org/absent"]);
    assert_eq!(absent.status, 5, "{}", absent.stderr);
    done(&run(&bench, &hub, &["lock", "--upgrade"]));
    done(&run(&bench, &hub, &["lock", "--check"]));
    let gone = without_hub(&bench, &["lock", "--check", "--json"]);
    assert_eq!((gone.status, &json(&gone)["models"][0]["state"]), (6, &"failed".into()));
    assert_eq!(json(&gone)["models"][1]["error"]["code"], "source-unavailable");
}

#[test]
fn an_unfinished_merge_is_refused_and_locked_again() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    publish(&hub, 1);
    done(&run(&bench, &hub, &["lock", ID, OTHER]));
    let whole = lock_text(&bench);
    let (ours, theirs) = whole.split_at(whole.rfind("[[model]]").unwrap());
    bench.file("models.lock", format!("{ours}<<<<<<< HEAD\n{theirs}=======\n>>>>>>> other\n"));
    let refused = run(&bench, &hub, &["ensure", "--locked", "models.lock", "--json"]);
    let error = json(&refused)["error"].clone();
    assert_eq!((refused.status, &error["code"]), (2, &"invalid-lock".into()));
    assert!(
        error["hint"].as_str().unwrap().contains("`model-provisioner lock --upgrade` pins that"),
        "{error}"
    );
    let again = run(&bench, &hub, &["lock", "--upgrade"]);
    assert_eq!(again.status, 0, "{}", again.stderr);
    assert!(again.stderr.contains("the marks of an unfinished merge"), "{}", again.stderr);
    assert_eq!(lock_text(&bench), whole);
    bench.file("models.lock", whole.replace("version = 1", "version = 7"));
    for args in [&["ensure", "--locked", "models.lock"][..], &["lock", ID], &["lock", "--check"]] {
        let newer = run(&bench, &hub, args);
        assert_eq!(newer.status, 2, "{}", newer.stderr);
        assert!(
            newer.stderr.contains("its version is 7, and this release reads version 1"),
            "{}",
            newer.stderr
        );
    }
    assert!(lock_text(&bench).starts_with("version = 7"));
}

#[test]
fn a_failure_leaves_the_lock_file_as_it_was() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    publish(&hub, 1);
    done(&run(&bench, &hub, &["lock", ID]));
    let before = lock_text(&bench);
    assert_eq!(run(&bench, &hub, &["lock", OTHER, "hf:org/absent"]).status, 7);
    assert_eq!(lock_text(&bench), before);
    for args in
        [&["lock"][..], &["ensure"], &["plan"], &["lock", "--check", ID], &["lock", "--check", "--upgrade"]]
    {
        assert_eq!(run(&bench, &hub, args).status, 2, "{args:?}");
    }
    let absent = run(&bench, &hub, &["ensure", "--locked", "absent.lock"]);
    assert_eq!(absent.status, 3, "{}", absent.stderr);
    let upgrade = run(&bench, &hub, &["lock", "--upgrade", "-o", "absent.lock"]);
    assert_eq!(upgrade.status, 3, "{}", upgrade.stderr);
}

#[test]
fn a_local_model_is_locked_in_place() {
    let bench = Fixture::new();
    let path = bench.file("models/a.gguf", testkit::TINY_GGUF);
    let id = format!("local:{}", path.display());
    done(&bench.run(&["lock", "models/a.gguf"]));
    assert!(lock_text(&bench).contains(&format!("ref = \"{id}\"\ndir_hash")), "{}", lock_text(&bench));
    done(&bench.run(&["lock", "--check"]));
    let ensured = bench.run(&["ensure", "--locked", "models.lock", "--json"]);
    assert_eq!(json(&ensured)["verification"]["basis"], "pinned");
    bench.file("models/a.gguf", gguf_of(5000, 3));
    assert_eq!(bench.run(&["lock", "--check"]).status, 1);
    let changed = bench.run(&["ensure", "--locked", "models.lock", "--json"]);
    assert_eq!((changed.status, &json(&changed)["error"]["code"]), (4, &"digest-mismatch".into()));
}

#[test]
fn a_config_names_its_lock_file_and_its_mirrors() {
    let (bench, hub, mirror) = (Fixture::new(), Hub::start(), Hub::start());
    let commit = publish(&hub, 1);
    publish(&mirror, 1);
    done(&run(&bench, &hub, &["lock", ID, "-o", "conf/models.lock"]));
    publish(&hub, 2);
    let config = |more: &str| {
        bench.file(
            "conf/model.yaml",
            format!("model_ref: {ID}\npolicy: {{ network: allow }}\nlock: models.lock\n{more}"),
        )
    };
    config("");
    let held = run(&bench, &hub, &["provision", "--config", "conf/model.yaml", "--json"]);
    done(&held);
    assert_eq!(json(&held)["revision"], commit.as_str());
    // With the hub gone, and a mirror that lies before one that does not.
    let liar = Hub::start();
    publish(&liar, 1);
    liar.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(9)));
    let named = |hub: &Hub| format!("{{ scheme: hf, endpoint: \"{}\" }}", hub.endpoint());
    config(&format!("mirrors: [{}, {}]\n", named(&liar), named(&mirror)));
    done(&run(&bench, &hub, &["remove", ID]));
    let mirrored = finish(
        command(&bench, "http://127.0.0.1:1", &["provision", "--config", "conf/model.yaml", "--json"])
            .env("HF_TOKEN", "hf_secret"),
    );
    done(&mirrored);
    assert_eq!(json(&mirrored)["verification"]["basis"], "pinned");
    let told = format!("the mirror `{}` is skipped for `a.gguf` of `{ID}`: ", liar.endpoint());
    assert!(mirrored.stderr.contains(&told), "{}", mirrored.stderr);
    assert!(mirror.bytes_sent("a.gguf") > 0);
    for hub in [&liar, &mirror] {
        assert!(hub.requests().iter().all(|seen| seen.authorization.is_none()));
    }
    for (more, told) in [
        ("mirrors: [{ scheme: s3, endpoint: x }]\n", "this build has no mirrors of `s3:`"),
        ("mirrors: [{ scheme: hf, endpoint: \"http://a:b@c\" }]\n", "may not carry a user name"),
        ("fit: { vram: 24GiB }\n", "`fit` chooses a model at its source"),
    ] {
        config(more);
        let refused = run(&bench, &hub, &["provision", "--config", "conf/model.yaml"]);
        assert!(refused.status == 2 && refused.stderr.contains(told), "{}", refused.stderr);
    }
}

#[test]
fn a_local_folder_is_locked_with_its_names() {
    let bench = Fixture::new();
    bench.file("models/m/config.json", "{}");
    bench.file("models/m/model.safetensors", testkit::safetensors("x"));
    done(&bench.run(&["lock", "models/m"]));
    done(&bench.run(&["ensure", "--locked", "models.lock"]));
    let refused = |told: &str| {
        let changed = bench.run(&["ensure", "--locked", "models.lock"]);
        assert!(changed.status == 4 && changed.stderr.contains(told), "{}", changed.stderr);
    };
    bench.file("models/m/config.json", "[]");
    refused("config.json: digest mismatch");
    bench.file("models/m/config.json", "{ }");
    refused("`config.json` has 2 bytes, and its source lists 3");
    bench.file("models/m/config.json", "{}");
    bench.file("models/m/more.txt", "");
    refused("it has 2 files, and here are 3");
}
