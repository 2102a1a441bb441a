"""Every function of the gallery is diagnosed rightly, and nothing healthy is accused."""

import html.parser
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import InvalidInput, rules
from diffprog.graph import Diagnosis, diagnose, trace
from tests.graph import gallery
from tests.graph.gallery import GALLERY, HEALTHY, SICK, Case
from tools.write_diagnoses import PAGE, page, without_figures

every_case = pytest.mark.parametrize("case", GALLERY.values(), ids=GALLERY)


@pytest.fixture(scope="module")
def diagnoses() -> dict[str, Diagnosis]:
    return {}


def diagnosed(diagnoses: dict[str, Diagnosis], case: Case) -> Diagnosis:
    """Each case's diagnosis, taken once for all tests."""
    name = next(name for name, other in GALLERY.items() if other is case)
    if name not in diagnoses:
        diagnoses[name] = diagnose(case.function, *case.args)
    return diagnoses[name]


def test_the_gallery_is_large_enough() -> None:
    assert len(SICK) >= 20
    assert len(HEALTHY) >= 10
    assert all(case.kinds and not HEALTHY.get(name) for name, case in SICK.items())


@every_case
def test_it_finds_what_is_wrong_and_nothing_else(case: Case, diagnoses: dict[str, Diagnosis]) -> None:
    diagnosis = diagnosed(diagnoses, case)
    assert set(diagnosis.kinds) == set(case.kinds), diagnosis
    assert diagnosis.healthy == (not case.kinds)
    assert not case.kinds or case.node in diagnosis.findings[0].node


@every_case
def test_every_finding_names_a_node_and_its_line(case: Case, diagnoses: dict[str, Diagnosis]) -> None:
    graph = trace(case.function, *case.args)
    nodes = {node.name for node in graph.nodes}
    for finding in diagnosed(diagnoses, case).findings:
        if finding.kind == "unused argument":
            assert finding.node in graph.input_names
        else:
            assert finding.node in nodes
            assert finding.source is not None and os.path.exists(finding.source.file)
            assert str(finding.source) in str(finding)


@every_case
def test_it_reads_as_sentences(case: Case, diagnoses: dict[str, Diagnosis]) -> None:
    diagnosis = diagnosed(diagnoses, case)
    for finding in diagnosis.findings:
        assert re.match(r"[A-Z0-9]", finding.sentence) and finding.sentence.endswith((".", "!"))
        assert not finding.remedy.endswith(".")
        assert not re.search(r"\bnan\b|None|  |\{|\}", finding.sentence), finding.sentence
    assert max(map(len, str(diagnosis).splitlines())) <= 160  # names of nodes and lines may be long


def test_the_page_is_what_the_gallery_makes_it(diagnoses: dict[str, Diagnosis]) -> None:
    made = without_figures(page(lambda case: diagnosed(diagnoses, case)))
    assert without_figures(PAGE.read_text(encoding="utf-8")) == made, (
        "write it again: python -m tools.write_diagnoses"
    )


def test_the_value_and_the_gradient_norm_are_jax_s() -> None:
    case = HEALTHY["MLP of tanh"]
    value, gradient = jax.value_and_grad(case.function)(*case.args)
    diagnosis = diagnose(case.function, *case.args, products=0)
    expected = np.linalg.norm([jnp.linalg.norm(g) for g in jax.tree.leaves(gradient)])
    np.testing.assert_allclose(diagnosis.cost, value, rtol=1e-5)  # rounding of another order of sums, float32
    np.testing.assert_allclose(diagnosis.gradient_norm, expected, rtol=1e-5)


def test_our_own_rules_are_diagnosed_like_jax_s_operations() -> None:
    def cost(W, x):
        return rules.squared_error(rules.relu(rules.linear(x, W)), jnp.ones((16, 8)))

    assert diagnose(cost, gallery.W8, gallery.X).healthy
    dead = diagnose(
        lambda W, x: rules.linear(rules.relu(rules.linear(x, W) - 99.0), W).sum(), gallery.W8, gallery.X
    )
    assert dead.kinds == ("dead units",)


def test_a_share_is_the_share() -> None:
    W = jnp.concatenate([jnp.full((8, 24), -1.0), jnp.ones((8, 8))], axis=1)
    diagnosis = diagnose(lambda W, x: jnp.sum(jax.nn.relu(x @ W) @ W.T), W, jnp.abs(gallery.X), products=0)
    assert [(f.kind, f.share) for f in diagnosis.findings] == [("dead units", 0.75)]


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_the_convention_at_a_kink_is_what_the_rule_does(slope: float) -> None:
    @jax.custom_jvp
    def relu(x):
        return jnp.maximum(x, 0)

    relu.defjvp(lambda xs, ts: (relu(*xs), jnp.where(xs[0] > 0, 1.0, slope) * ts[0]))
    finding = diagnose(lambda x: relu(x).sum(), jnp.array([0.0, 1.0, 2.0]), products=0).findings[0]
    assert f"JAX takes the derivative {slope:g}." in finding.sentence
    assert finding.severity == "note"


def test_a_straight_through_rule_is_believed() -> None:
    @jax.custom_jvp
    def through(x):
        return jnp.round(x)

    through.defjvp(lambda xs, ts: (through(*xs), ts[0]))
    assert diagnose(lambda x: jnp.sum((through(x) - 2.3) ** 2), jnp.ones(3)).healthy


def test_a_step_inside_a_loop_is_found_from_outside() -> None:
    def cost(x):
        return jax.lax.scan(lambda c, _: (c, jnp.sign(c)), x, None, length=3)[1].sum()

    diagnosis = diagnose(cost, jnp.ones(2))
    assert diagnosis.kinds == ("no gradient",)
    assert diagnosis.findings[0].node == "scan"


def test_a_mask_of_infinities_is_no_finding_but_a_row_without_entries_is() -> None:
    def cost(x, mask):
        return jnp.sum(jax.nn.softmax(jnp.where(mask, x, -jnp.inf)) ** 2)

    x = gallery.X[:4, :4]
    assert diagnose(cost, x, jnp.tril(jnp.ones((4, 4), bool))).healthy
    assert diagnose(cost, x, jnp.tril(jnp.ones((4, 4), bool), -1)).kinds == ("not finite",)


def test_a_nan_in_an_argument_is_the_argument_s() -> None:
    found = diagnose(lambda x, y: jnp.sum(x * y), jnp.ones(3), jnp.array([1.0, jnp.nan, 2.0])).findings
    assert [(f.kind, f.node) for f in found] == [("not finite", "y")]
    assert "1 NaN of 3 entries" in found[0].sentence


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda x: x, "float32[3]"),
        (lambda x: (x.sum(), x.sum()), "float32[], float32[]"),
        (lambda x: None, "nothing"),
    ],
)
def test_what_is_no_cost_is_refused(result, said) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        diagnose(result, jnp.ones(3))


@pytest.mark.parametrize("argnums", [1, 2, (), (0, 5)])
def test_argnums_must_name_floating_arguments(argnums) -> None:
    with pytest.raises(InvalidInput, match="argnums"):
        diagnose(lambda x, n: x.sum() * n, jnp.ones(3), jnp.int32(2), argnums=argnums)


def test_the_hessian_is_in_the_chosen_arguments() -> None:
    def cost(a, b):
        return jnp.sum(a**2) + 5 * jnp.sum(b**2)

    args = jnp.ones(2), jnp.ones(3)
    spectra = [diagnose(cost, *args, argnums=n).spectrum for n in (None, 1, (0, 1))]
    found = [(s.size, round(s.smallest, 4), round(s.largest, 4)) for s in spectra if s is not None]
    assert found == [(2, 2.0, 2.0), (3, 10.0, 10.0), (5, 2.0, 10.0)]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_short_floats_can_be_diagnosed(dtype) -> None:
    params = jax.tree.map(lambda x: x.astype(dtype), HEALTHY["MLP of relu"].args)
    assert diagnose(HEALTHY["MLP of relu"].function, *params, products=3).healthy
    assert diagnose(gallery.norm, jnp.zeros(3, dtype)).kinds == ("undefined derivative",)


def test_keys_integers_and_empty_arrays_are_no_variables() -> None:
    def cost(x, key, n, nothing):
        return jnp.sum((x + 0.1 * jax.random.normal(key, x.shape)) ** 2) * n + nothing.sum()

    assert diagnose(cost, jnp.ones(3), jax.random.key(0), 2, jnp.zeros((0, 2))).healthy


def test_a_constant_cost_uses_no_argument() -> None:
    assert diagnose(lambda x: jnp.zeros(()), jnp.ones(2)).kinds == ("unused argument",)
    assert diagnose(lambda x: x, 1.0).healthy


def test_a_part_of_an_argument_that_is_not_used_is_no_sickness() -> None:
    state = {"mean": jnp.zeros(2), "scale": jnp.ones(2)}
    found = diagnose(lambda s, x: jnp.sum((s["scale"] * x) ** 2), state, jnp.ones(2))
    assert found.healthy
    assert ("unused argument", "s['mean']") in [(f.kind, f.node) for f in found.findings]
    assert not diagnose(lambda s, x: jnp.sum(x**2), state, jnp.ones(2)).healthy


def test_a_plateau_in_one_argument_says_where_there_is_a_slope() -> None:
    found = diagnose(lambda w, x: x + jnp.exp(-jnp.square(w)), 12.0, 0.5)
    assert found.kinds == ("plateau",)
    assert "It is not in x, which argnums can choose." in found.findings[0].sentence
    assert diagnose(lambda w, x: x + jnp.exp(-jnp.square(w)), 12.0, 0.5, argnums=1).healthy


def test_a_negative_number_of_products_is_refused() -> None:
    with pytest.raises(InvalidInput, match="products=-1"):
        diagnose(jnp.sin, 1.0, products=-1)


def test_no_argument_is_floating() -> None:
    assert diagnose(lambda n: n * 1.5, jnp.int32(2)).kinds == ("no gradient",)


def test_the_notebook_s_table_is_whole_and_escaped() -> None:
    class Counter(html.parser.HTMLParser):
        open_tags = 0

        def handle_starttag(self, tag, attrs):
            self.open_tags += tag != "br"

        def handle_endtag(self, tag):
            self.open_tags -= 1

    page = diagnose(lambda x: jnp.sqrt(x), 0.0)._repr_html_()
    counter = Counter()
    counter.feed(page)
    assert counter.open_tags == 0
    assert "&lt;lambda&gt;" in page and "<lambda>" not in page


def test_a_loop_over_random_keys_is_looked_through() -> None:
    def cost(key, x):
        def step(carry, _):
            key, x = carry
            key, now = jax.random.split(key)
            return (key, jnp.tanh(x) + 0.01 * jax.random.normal(now, x.shape)), None

        return jnp.sum(jax.lax.scan(step, (key, x), None, length=3)[0][1] ** 2)

    assert diagnose(cost, jax.random.key(0), jnp.ones(3), products=0).healthy
