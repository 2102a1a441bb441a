"""The page in headless Chromium: it loads, steps, opens, closes, searches, and darkens."""

from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import pytest

from diffprog import models
from diffprog.graph import backprop, trace
from diffprog.graph.pages.page import notebook_view, write_page
from tests.graph.browser import Visit, chromium
from tests.graph.programs import PROGRAMS

W, V = jax.random.normal(jax.random.key(0), (5, 4)), jax.random.normal(jax.random.key(1), (4, 4))
X = jax.random.normal(jax.random.key(2), (3, 5))
HOSTILE = "<img src=x onerror=document.title='taken'>"


def branch_and_merge(params, x):
    """Two branches share a parameter, and what they come from."""
    with jax.named_scope("trunk"):
        h = jnp.tanh(x @ params["W"])
    with jax.named_scope("left"):
        left = h @ params["V"]
    with jax.named_scope("right"):
        right = jnp.sin(h @ params["V"])
    return jnp.sum(left * right + left)


def deep(params, x):
    """More operations than are shown at once."""
    for k in range(12):
        with jax.named_scope(f"layer{k}"):
            x = jax.nn.relu(x @ params[f"layer{k}"]["W"] + params[f"layer{k}"]["b"])
    return jnp.mean(x**2)


DEEP = {f"layer{k}": {"W": 0.5 * V, "b": jnp.full(4, 0.1)} for k in range(12)}


def hostile(x):
    with jax.named_scope(f"{HOSTILE}</script><script>alert(1)</script>"):
        return jnp.sum(jnp.tanh(jnp.sin(x)))


def network(name):
    """The structure of a real network with its parameters as arguments; no weights are needed."""
    card = models.card(name)
    images = jax.ShapeDtypeStruct((1, card.input_size, card.input_size, 3), jnp.float32)
    params = jax.eval_shape(card.module.init, jax.random.key(0), images)
    return trace(lambda variables, images: card.module.apply(variables, images)[0, 47], params, images)


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    watched = {
        "branch and merge": backprop(branch_and_merge, {"W": W, "V": V}, X),
        "deep": backprop(deep, DEEP, X[:, :4]),
        "hostile": backprop(hostile, X),
    }
    paths = {
        name: write_page(steps.graph, folder / f"{name}.html", steps.steps) for name, steps in watched.items()
    }
    for name in ("squeezenet", "efficientnet-lite0"):
        paths[name] = write_page(network(name), folder / f"{name}.html", title=name)
    return paths


PAGES = ("branch and merge", "deep", "hostile", "squeezenet", "efficientnet-lite0")


@pytest.fixture
def visit(browser, pages):
    """Open a page; at the end of the test nothing may have gone wrong on it."""
    visits = []

    def open_page(name, **options):
        visits.append(Visit(browser, pages[name], **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.tab.close()
        assert each.troubles == []
        assert [url for url in each.requests if not url.startswith(("file:", "blob:"))] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_and_opens_all_without_an_error(visit, name):
    page = visit(name)
    before = page.boxes()
    assert 3 <= before <= 40
    page.press("e", "c", "e")
    assert page.boxes() > 120 if "net" in name else page.boxes() >= before
    page.press("f", "t", "s" if name == "deep" else "0")


@pytest.mark.parametrize("name", ["squeezenet", "efficientnet-lite0"])
def test_fit_shows_all_of_a_large_graph(visit, name):
    page = visit(name)
    page.press("e", "f")
    canvas = "document.querySelector('#canvas')"
    assert page.tab.evaluate(f"{canvas}.scrollHeight <= {canvas}.clientHeight")


def test_every_program_is_drawn(visit, tmp_path):
    page = visit("branch and merge")
    programs = {name: (program.function, program.args) for name, program in PROGRAMS.items()}
    programs |= {"nothing": (lambda x: x, (1.0,)), "no arguments": (lambda: jnp.ones(2), ())}
    for name, (function, args) in programs.items():
        page.go(write_page(trace(function, *args), tmp_path / f"{name}.html"))
        page.press("e", "ArrowDown", "Enter", "End", "Escape")
        assert page.boxes() > 1
        assert page.troubles == [], name


def test_stepping_changes_what_is_shown(visit):
    page = visit("branch and merge")
    assert page.text("#where").startswith("0 / 8")
    assert page.count('[data-state="done"], [data-state="current"]') == 0
    page.press("ArrowRight")
    assert page.text("#where") == "1 / 8 reduce_sum"
    assert page.text("#panel h2") == "reduce_sum"
    assert page.box("reduce_sum").get_attribute("data-state") == "current"
    page.tab.click("#forward")
    assert page.text("#where") == "2 / 8 add"
    assert page.box("reduce_sum").get_attribute("data-state") == "done"
    assert page.count('.edge[data-flow="flowing"]') == 2  # to mul and to left
    page.press("ArrowLeft")
    assert page.text("#where").startswith("1 / 8")
    page.press("End")
    assert page.text("#where").startswith("8 / 8")
    assert page.count('#canvas .edge:not([data-flow="flowed"]):not([data-flow="flowing"])') == 0
    assert page.tab.is_disabled("#forward")
    page.press("Home")
    assert page.tab.is_disabled("#back")


def test_the_sweep_plays_by_itself_and_stops(visit):
    page = visit("branch and merge")
    page.press("Space")
    page.tab.locator("#where", has_text="2 / 8").wait_for()
    assert page.tab.get_attribute("#play", "aria-pressed") == "true"
    page.press("Space")
    assert page.tab.get_attribute("#play", "aria-pressed") == "false"


def test_a_click_opens_a_box_with_its_six_numbers(visit):
    page = visit("branch and merge")
    page.press("End")
    page.box("left/dot").click()
    panel = page.text("#panel")
    assert [cell.inner_text() for cell in page.tab.locator("#panel h4").all()] == [
        "xout", "gout", "params", "dJ/dparams", "xin", "gin",
    ]  # fmt: skip
    assert "test_page_in_browser.py:" in page.text("#panel .source")
    assert page.count("#panel .formula math msub, #panel .formula math mrow") > 0
    step = backprop(branch_and_merge, {"W": W, "V": V}, X)["left/dot"]
    shown = [cell.get_attribute("title") for cell in page.tab.locator("#panel td").all()]
    flows = [step.x_out, step.g_out, step.parameters, step.g_parameters, step.x_in, step.g_in]
    expected = [float(entry) for (flow,) in flows for entry in flow.array.reshape(-1)]
    contributions = [float(entry) for term in step.contributions[0] for entry in term.array.reshape(-1)]
    assert [float(entry) for entry in shown] == pytest.approx(
        expected[:24] + contributions + expected[24:],
        rel=1e-5,  # printed with six digits
    )
    assert "the sum of 2 contributions" in panel
    page.tab.locator("#panel .term button", has_text="mul").click()
    assert page.text("#panel h2") == "mul"


def test_what_the_sweep_has_not_reached_is_not_told(visit):
    page = visit("branch and merge")
    page.box("mul").click()
    assert "not reached yet" in page.text("#panel .pending")
    page.tab.click("#panel .pending button")
    assert page.text("#where") == "3 / 8 mul"
    assert page.count("#panel .pending") == 0


def test_the_gradient_of_a_shared_parameter_is_a_sum(visit):
    page = visit("branch and merge")
    page.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight")
    page.box("params['V']").click()
    assert "1 of 2 contributions have arrived" in page.text("#panel")
    page.press("End")
    page.box("params['V']").click()
    assert "The sum over 2 uses" in page.text("#panel")
    tables = page.tab.locator("#panel table").all()
    value, total, one, other = (
        [float(c.get_attribute("title")) for c in t.locator("td").all()] for t in tables
    )
    assert value == pytest.approx(V.reshape(-1).tolist(), rel=1e-5)
    assert total == pytest.approx([a + b for a, b in zip(one, other, strict=True)], rel=1e-4, abs=1e-5)


def test_groups_open_and_close(visit):
    page = visit("efficientnet-lite0")
    page.press("c")
    closed = page.boxes()
    group = page.box("blocks") if page.box("blocks").count() else page.box("blocks/0")
    assert group.get_attribute("aria-expanded") == "false"
    group.click()
    assert group.get_attribute("aria-expanded") == "true"
    assert page.boxes() > closed
    group.locator(".name").first.click(force=True)
    assert page.boxes() == closed


def test_the_ground_of_an_open_group_is_no_button(visit):
    page = visit("deep")
    page.box("layer0").click()
    opened = page.boxes()
    place = page.box("layer0").bounding_box()
    page.tab.mouse.click(place["x"] + 4, place["y"] + place["height"] - 4)
    assert page.boxes() == opened


def test_a_closed_group_says_how_far_the_sweep_is_in_it(visit):
    page = visit("deep")
    group = page.box("layer11")
    assert page.box("layer11/relu").count() == 0
    while not page.text("#where").endswith("layer11/add"):
        page.press("ArrowRight")
    assert group.get_attribute("data-state") == "current"
    assert 0 < float(group.locator(".progress").get_attribute("width")) < group.bounding_box()["width"]
    assert page.text("#panel h2") == "add"
    page.press("Shift+ArrowRight")
    assert page.box("layer10").get_attribute("data-state") == "current"
    assert group.get_attribute("data-state") == "done"


def test_all_of_it_works_from_the_keyboard(visit):
    page = visit("deep")
    for _ in range(30):
        page.press("Tab")
        if page.focused().startswith("x, input"):
            break
    assert page.focused().startswith("x, input")
    page.press("ArrowDown")
    assert page.focused().startswith("layer0, group")
    page.press("Enter")
    assert page.box("layer0").get_attribute("aria-expanded") == "true"
    page.press("ArrowDown", "ArrowDown", "ArrowDown", "Enter")
    inside = page.focused().split(",")[0]
    assert page.text("#panel .path, #panel h2")
    assert inside.startswith(("layer0/", "params['layer0']"))
    page.press("Escape")
    assert page.text("#panel h2") == "Overview"
    page.press("Escape")
    assert page.box("layer0").get_attribute("aria-expanded") == "false"
    assert page.focused().startswith("layer0, group")


def test_help_and_search(visit):
    page = visit("deep")
    page.press("?")
    assert page.tab.is_visible("#help")
    page.press("Escape")
    assert not page.tab.is_visible("#help")
    page.press("/")
    page.tab.keyboard.type("RELU")
    assert page.count("#found li") == 12
    page.press("ArrowDown", "Enter")
    assert page.text("#panel h2") == "relu"
    assert page.focused().startswith(page.text("#panel .path"))
    page.press("/")
    page.tab.keyboard.type("nothing like this")
    assert page.text("#found") == "no such name"


def test_light_and_dark(visit):
    light, dark = visit("deep", color_scheme="light"), visit("deep", color_scheme="dark")
    assert light.colour("#canvas") != dark.colour("#canvas")
    dark.press("t")
    assert light.colour("#canvas") == dark.colour("#canvas")
    light.tab.click("#theme")
    assert light.colour("#canvas") != dark.colour("#canvas")


def test_zoom(visit):
    page = visit("deep")
    width = page.box("layer0").bounding_box()["width"]
    page.tab.click("#zoom-in")
    assert page.box("layer0").bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.01)
    page.press("f")
    canvas, svg = page.tab.locator("#canvas").bounding_box(), page.tab.locator("#canvas > svg").bounding_box()
    assert svg["height"] <= canvas["height"]
    assert svg["width"] <= canvas["width"]


def test_names_from_the_program_are_text(visit):
    page = visit("hostile")
    page.press("e", "ArrowRight")
    assert page.count("#canvas img, #panel img") == 0
    assert HOSTILE in page.tab.inner_text("body")
    assert page.tab.title() == "Backward sweep"


@pytest.mark.parametrize("name", ["branch and merge", "squeezenet", "efficientnet-lite0"])
def test_boxes_do_not_overlap(visit, name):
    page = visit(name)
    page.press("e", "0")
    page.tab.wait_for_timeout(400)  # until the boxes have moved
    places = page.tab.evaluate(
        "[...document.querySelectorAll('#canvas .box')].map(b => b.querySelector('.card').getBoundingClientRect())"
        ".map(r => [r.left, r.top, r.right, r.bottom])"
    )
    assert len(places) > 8
    for k, (left, top, right, bottom) in enumerate(places):
        for other in places[k + 1 :]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


def test_what_is_shown_is_saved_as_svg(visit):
    page = visit("branch and merge")
    with page.tab.expect_download() as download:
        page.tab.click("#save-svg")
    root = ElementTree.parse(download.value.path()).getroot()
    texts = [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"tanh", "trunk", "reduce_sum"} <= set(texts)


def test_a_notebook_shows_the_same_page(browser, tmp_path):
    graph = trace(branch_and_merge, {"W": W, "V": V}, X)
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><meta charset='utf-8'>{graph._repr_html_()}", encoding="utf-8")
    assert graph._repr_html_() == notebook_view(graph)
    tab = browser.new_page()
    tab.goto(notebook.as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator("body.ready").wait_for(timeout=20_000)
    assert frame.locator(".box").count() >= 8
    tab.close()
