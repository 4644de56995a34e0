"""Prints what was measured, as Markdown."""
import statistics

from .clients import OURS
from .processes import Run


def shown(name):
    """A client's name for a table."""
    return "`" + name.replace("|", "\\|") + "`"


def summaries(runs):
    """The median of each column, over the runs of each client, and the highest peak."""
    middle = lambda column: None if None in column else statistics.median(column)
    highest = lambda of_one: max(run.peak_mib for run in of_one)
    return {name: Run(*map(middle, zip(*of_one)))._replace(peak_mib=highest(of_one)) for name, of_one in runs.items()}


def details(row, runs):
    """Prints one comparison: all of its clients, beside ours."""
    found = summaries(runs)
    print(f"\n### {row.name}: {row.title}\n")
    print("| client | wall (s) | range (s) | ours / its wall | CPU (s) | peak (MiB) | requests | connections | sent (MiB) |")
    print("| --- " * 9 + "|")
    for name, run in found.items():
        walls = [run.wall_s for run in runs[name]]
        spread = f"{min(walls):.2f} to {max(walls):.2f}"
        counts = " | ".join("" if count is None else f"{count:,.0f}" for count in run[3:])
        ratio = "" if name == OURS else f"{found[OURS].wall_s / run.wall_s:.2f}"
        print(f"| {shown(name)} | {run.wall_s:.2f} | {spread} | {ratio} | {run.cpu_s:.2f} | {run.peak_mib:.1f} | {counts} |")


def verdicts(row, runs):
    """The lines of the last table: for each limit what was measured, what is wanted, and whether it holds."""
    found = summaries(runs)
    for limit in row.limits:
        value = limit.measure(found)
        bound = limit.at_most if limit.at_least is None else limit.at_least
        wanted = f"at {'most' if limit.at_least is None else 'least'} {bound:g}" + (" MiB" if limit.kind == "peak" else "")
        what = "peak memory" if limit.kind == "peak" else f"{limit.kind} beside {shown(limit.beside)}"
        if value is None:
            yield row, what, "not installed", wanted, ""
        else:
            measured = f"{value:.1f} MiB" if limit.kind == "peak" else f"{value:.2f}"
            yield row, what, measured, wanted, "held" if limit.is_held(value) else "**missed**"


def last_table(lines, left_out):
    print("\n## Limits\n\n| row | | measured | wanted | |\n| --- | --- | --- | --- | --- |")
    for row, what, measured, wanted, verdict in lines:
        print(f"| {row.title} | {what} | {measured} | {wanted} | {verdict} |")
    if left_out:
        print("\nLeft out: " + "; ".join(left_out) + ".")
