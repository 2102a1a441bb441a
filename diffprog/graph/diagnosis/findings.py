"""What a diagnosis says: findings, in sentences.

A finding is a record, so that a program can act on it; printed, it is a sentence that names the node and its
source line, and what to try. An error makes the gradient useless, a warning makes optimization fail or crawl, a
note is worth knowing and nothing is wrong.
"""

from __future__ import annotations

import html
import math
import textwrap
from typing import Literal, NamedTuple

from diffprog.graph.diagnosis.curvature import Spectrum
from diffprog.graph.node import Source

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
WIDTH = 100


class Finding(NamedTuple):
    """One thing that a diagnosis found.

    Attributes:
        kind: `undefined derivative`, `no gradient`, `not finite`, `dead units`, ...; see the table in the docs.
        severity: `error`, `warning` or `note`.
        node: the name of the node in the graph, of the argument, or `output`.
        source: the line of the program it comes from, where there is one.
        sentence: what was found.
        remedy: what to try.
        share: the figure in the sentence: a share of units or entries, a rate, a condition number.
    """

    kind: str
    severity: Severity
    node: str
    source: Source | None
    sentence: str
    remedy: str
    share: float | None = None

    def __str__(self) -> str:
        place = f"{self.node}, {self.source}" if self.source else self.node
        first = f"{self.severity}: {self.kind} at {place}"
        return "\n".join([first, *_wrapped(self.sentence), *_wrapped(f"Try: {self.remedy}.")])


class Diagnosis(NamedTuple):
    """What `diagnose` returns; `print` it.

    Attributes:
        function: what the function is called.
        cost: its value at the arguments.
        gradient_norm: the Euclidean norm of the gradient in the variables; NaN if it is not finite or cannot be had.
        findings: errors first, then warnings, then notes.
        spectrum: extreme eigenvalues of the Hessian in the variables; None where they were not asked for, or
            where there is nothing to measure.
    """

    function: str
    cost: float
    gradient_norm: float
    findings: tuple[Finding, ...]
    spectrum: Spectrum | None = None

    @property
    def healthy(self) -> bool:
        """Whether there is no error and no warning."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of all errors and warnings, each once."""
        return tuple(dict.fromkeys(f.kind for f in self.findings if f.severity != "note"))

    def __str__(self) -> str:
        norm = "undefined" if math.isnan(self.gradient_norm) else f"{self.gradient_norm:.3g}"
        head = f"{self.function}: cost {self.cost:.6g}, gradient norm {norm}; {self._summary()}"
        return "\n\n".join([head, *map(str, self.findings)])

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.function}: {self._summary()}>"

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{f.severity}</td><td>{html.escape(f.kind)}</td><td><code>{html.escape(f.node)}</code></td>"
            f"<td>{html.escape(str(f.source or ''))}</td><td>{html.escape(f.sentence)}<br>"
            f"<i>Try: {html.escape(f.remedy)}.</i></td></tr>"
            for f in self.findings
        ]
        head = "<tr><th></th><th>kind</th><th>node</th><th>line</th><th>finding</th></tr>"
        return f"<p>{html.escape(str(self).splitlines()[0])}</p><table>{head}{''.join(rows)}</table>"

    def _summary(self) -> str:
        counts = [(sum(f.severity == severity for f in self.findings), severity) for severity in ORDER]
        said = [f"{count} {severity}{'s' if count > 1 else ''}" for count, severity in counts if count]
        return ", ".join(["healthy"] * self.healthy + said)


def sort(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first; within a severity, in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: ORDER.index(finding.severity)))


def percent(share: float) -> str:
    """A share in words: `all`, `none` or a percentage that is not rounded to either."""
    if share in (0, 1):
        return "all" if share else "none"
    return f"{min(max(100 * share, 0.1), 99.9):.3g} %"


def listed(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
