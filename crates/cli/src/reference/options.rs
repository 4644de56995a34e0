//! Writes the subcommands and their options, from clap's own data.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::args::Args;

/// Returns the part of the page on subcommands and options.
pub(super) fn section() -> String {
    let mut command = Args::command();
    command.build();
    let mut text = String::from("## Global options\n\nEvery subcommand takes these.\n\n");
    table(&mut text, command.get_arguments().filter(|arg| arg.is_global_set()));
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        write_subcommand(&mut text, subcommand);
    }
    text
}

fn write_subcommand(text: &mut String, subcommand: &Command) {
    let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = subcommand.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    write!(text, "\n## `{}`\n\n{about}.\n\n```text\n{usage}\n```\n", subcommand.get_name()).unwrap();
    let own: Vec<&Arg> = subcommand
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str()))
        .collect();
    if !own.is_empty() {
        text.push('\n');
        table(text, own.into_iter());
    }
    if let Some(examples) = subcommand.get_after_help() {
        write!(text, "\n```text\n{examples}\n```\n").unwrap();
    }
}

fn table<'a>(text: &mut String, args: impl Iterator<Item = &'a Arg>) {
    text.push_str("| argument | meaning |\n| --- | --- |\n");
    for arg in args {
        writeln!(text, "| {} | {} |", name(arg), meaning(arg).replace('|', "\\|")).unwrap();
    }
}

fn name(arg: &Arg) -> String {
    let values: Vec<_> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let values = values.join(" ");
    let Some(long) = arg.get_long() else { return format!("`{values}`") };
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes_value { format!("{short}`--{long} {values}`") } else { format!("{short}`--{long}`") }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let choices: Vec<_> = arg
        .get_possible_values()
        .iter()
        .map(|choice| match choice.get_help() {
            Some(help) => format!("`{}` ({help})", choice.get_name()),
            None => format!("`{}`", choice.get_name()),
        })
        .collect();
    if takes_value && !choices.is_empty() {
        write!(text, ": {}", choices.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    if takes_value && !defaults.is_empty() {
        write!(text, " [default: {}]", defaults.join(", ")).unwrap();
    }
    if let Some(variable) = arg.get_env().and_then(|name| name.to_str()) {
        write!(text, " [environment: `{variable}`]").unwrap();
    }
    text
}
