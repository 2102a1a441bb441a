"""The commands: `diffprog visualize`, `guide`, `dream`, `sweep`, `score`, `redraw`, `models`, `layers`, ..."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import diffprog
from diffprog import models
from diffprog.cli import checks, graph, guide, listings, rulebook, startup, units
from diffprog.cli import pretrain as pretraining
from diffprog.cli import score as scoring
from diffprog.cli import sweep as sweeping
from diffprog.cli.diagnose import diagnosis
from diffprog.cli.dream import Wish
from diffprog.cli.dream import run as run_dream
from diffprog.cli.explain import explain as explained
from diffprog.cli.failures import told
from diffprog.cli.outcome import finish
from diffprog.errors import InvalidInput
from diffprog.vision import read_request, recipes
from diffprog.vision import redraw as redraw_picture
from diffprog.vision import visualize as draw
from diffprog.vision.canvases.canvas import height_width

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The PNG to write.", show_default=False)]
FUNCTION_HELP = (
    "`FILE.py:FUNCTION`, a cost; its arguments are FUNCTION_args in the file: a tuple, a mapping by name, "
    "or a function that returns one of them."
)
UNIT_HELP = (
    "A class by a part of its name or its number (chameleon, 47), a layer's channel (fire5:12), "
    "or a channel at row Y, column X (fire5:12@13,13)."
)


def main() -> None:
    """Run the command line."""
    startup.prepare()
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diffprog {diffprog.__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Pictures of what the units of a network respond to."""


@app.command()
def visualize(
    unit: Annotated[str, typer.Argument(help=UNIT_HELP, show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="See `diffprog models`.")] = "squeezenet",
    size: Annotated[
        int | None, typer.Option(help="Height and width in pixels.", show_default="the network's own")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the optimizer.", show_default="the recipe's")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(recipes.RECIPES)}.", show_default="the network's own"),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many pictures, each from its own start.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed is another picture.")] = 0,
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Draw what excites a unit of a network, as a PNG."""
    with told(debug):
        named = checks.recipe(recipe) if recipe else None
        size = checks.size(models.card(model), named or recipes.DEFAULT, size)
        checks.whole("--steps", 1 if steps is None else steps, 1)
        checks.whole("--n", n, 1)
        checks.whole("--seed", seed, 0, checks.LARGEST_SEED)
        path = checks.destination(out) if out else checks.default_destination(unit)
        net = models.load(model)
        chosen = named or recipes.default_for(net)
        chosen = chosen.replace(size=size, steps=steps or chosen.steps)
        found = units.parse(unit, net, size)
        drawing = draw(net, found.objective, recipe=chosen, n=n, key=seed, title=found.title, progress=True)
        name = recipe or checks.recipe_name(recipes.default_for(net))
        how = f"{chosen.steps} steps of recipe {name}, {size}x{size} pixels, seed {seed}"
        finish(drawing, path, f"{found.title}; {net.title}", how)


@app.command("guide")
def words_to_pictures(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the pictures should be like; several with | between them, with :weight behind each.",
            show_default=False,
        ),
    ],
    generator: Annotated[
        str,
        typer.Option(
            "--generator",
            "-g",
            help=f"One of {', '.join(guide.GENERATORS)}; or {', '.join(guide.PUBLISHED)}, with --weights.",
        ),
    ] = "dcgan-faces",
    weights: Annotated[
        Path | None, typer.Option(help="The weight file of a published generator.", show_default=False)
    ] = None,
    scorer: Annotated[
        str, typer.Option(help="words, conse or clip for any words, class for the name of a class.")
    ] = "words",
    clip: Annotated[
        Path | None,
        typer.Option(
            help="With --scorer clip, the weights of a CLIP: a file, or the folder it is in.",
            show_default=False,
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="With --scorer clip, its vocabulary.",
            show_default="in or beside the weights, or the published",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The classifier that scores, see `diffprog models`.")
    ] = guide.DEFAULT_MODEL,
    n: Annotated[int, typer.Option("--n", "-n", help="How many pictures, each from its own start.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of the optimizer.")] = 150,
    seed: Annotated[int, typer.Option(help="Another seed is other pictures.")] = 0,
    judge: Annotated[
        bool, typer.Option("--judge", help="Ask a second network, and compare with as many random draws.")
    ] = False,
    judge_model: Annotated[
        str | None, typer.Option(help="Which network judges.", show_default="one that does not score")
    ] = None,
    out: Out = None,
    film: Annotated[
        Path | None,
        typer.Option(
            "--film", "--gif", help="Write how they came about, too: a GIF or MP4.", show_default=False
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Make pictures that do what words say, by moving the latents of a generator."""
    with told(debug):
        asked = guide.judge_for(model, judge, judge_model)
        guide.run(
            prompt, generator, scorer, model, n, steps, seed, asked, out, film, clip, tokenizer, weights
        )


@app.command()
def pretrain(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .safetensors file to write.")
    ] = pretraining.OUT,
    epochs: Annotated[float, typer.Option(help="How often every drawing is seen.")] = pretraining.EPOCHS,
    batch: Annotated[
        int, typer.Option(help="Drawings in a step, each told from all others.")
    ] = pretraining.BATCH,
    size: Annotated[int, typer.Option(help="Height and width of the drawings in pixels.")] = 48,
    loss: Annotated[str, typer.Option(help=f"One of {', '.join(pretraining.LOSSES)}.")] = "info_nce",
    devices: Annotated[
        int | None,
        typer.Option(help="Spread every batch over so many; CPUs are split.", show_default="all there are"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another start and another order.")] = 0,
    debug: Debug = False,
) -> None:
    """Train a small CLIP on the drawings of OpenMoji and their names; stopped, it goes on where it was."""
    with told(debug):
        pretraining.run(out, epochs, batch, size, loss, devices, seed)


@app.command()
def redraw(
    picture: Annotated[Path, typer.Argument(help="A PNG that diffprog saved.", show_default=False)],
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Draw a saved picture again, from what the file says of itself."""
    with told(debug):
        path = checks.destination(out) if out else checks.default_destination(f"{picture.stem}_again")
        wish = read_request(picture)
        if wish.model not in models.names():
            raise InvalidInput(
                f"{picture}, drawn of {wish.model or 'a function of your own'}",
                "a picture of one of " + ", ".join(models.names()),
                "from Python: diffprog.redraw(path, model)",
            )
        least = min(height_width(wish.recipe.size)) if wish.recipe.size else None
        checks.size(models.card(wish.model), wish.recipe, least)
        net = models.load(wish.model)
        drawing = redraw_picture(picture, net, progress=True)
        finish(drawing, path, f"{wish.title}; {net.title}", f"{wish.recipe.steps} steps, as {picture} was")


@app.command()
def dream(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, GIF, TIFF, ...", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="See `diffprog models`.")] = "squeezenet",
    layer: Annotated[
        str | None,
        typer.Option(help="What to exaggerate: a layer, see `diffprog layers`.", show_default="one we like"),
    ] = None,
    unit: Annotated[str | None, typer.Option(help=f"Or: {UNIT_HELP}", show_default=False)] = None,
    guide: Annotated[
        Path | None,
        typer.Option(help="A second photograph, of what the layer shall see more of.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option(help="How far to go.")] = 1.0,
    steps: Annotated[int | None, typer.Option(help="Steps at every scale.", show_default="20")] = None,
    octaves: Annotated[
        int | None, typer.Option(help="At how many scales.", show_default="by the photograph's size")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Longer side in pixels, to shrink to; 0 for the photograph's own.",
            show_default="1024, or 400 for a film",
        ),
    ] = None,
    zoom: Annotated[
        int | None, typer.Option(help="A film of this many frames into the dream.", show_default="a picture")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another picture.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A PNG or JPEG; for a film a GIF or MP4.", show_default="PHOTO_dream.png"
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Let a network exaggerate what it sees in a photograph."""
    with told(debug):
        run_dream(Wish(photo, model, layer, unit, guide, octaves, steps, strength, size, zoom, seed, out))


@app.command("models")
def list_models(debug: Debug = False) -> None:
    """List the networks, their licences, and where their weights are."""
    with told(debug):
        typer.echo(listings.models())


@app.command("layers")
def list_layers(
    model: Annotated[str, typer.Argument(help="See `diffprog models`.", show_default=False)],
    debug: Debug = False,
) -> None:
    """List the layers of a network, for pictures of its own size."""
    with told(debug):
        net = models.load(model)
        typer.echo(listings.layers(units.layers(net, net.input_size).layers))


@app.command("graph")
def show_graph(
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE.py:FUNCTION", help="A network, or your function.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A page (.html), a picture (.svg), or .dot.", show_default="a page here"
        ),
    ] = None,
    backprop: Annotated[
        bool, typer.Option("--backprop", help="Let the page go through the backward sweep of a cost, too.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            help="With --backprop, the class of MODEL to go back from: chameleon, 47.", show_default=False
        ),
    ] = None,
    args: Annotated[
        str | None,
        typer.Option(help="What FUNCTION's arguments are called in FILE.", show_default="FUNCTION_args"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the graph of a network or a function: a page to open in a browser, or a picture."""
    with told(debug):
        graph.write(what, out, args, backprop, unit)


@app.command()
def fetch(
    model: Annotated[list[str], typer.Argument(help="See `diffprog models`.", show_default=False)],
    debug: Debug = False,
) -> None:
    """Fetch the weights of networks now, to use them without a network connection later."""
    with told(debug):
        for name in model:  # all names before the first download
            if name not in models.OTHERS:
                models.card(name)
        for name in model:
            models.fetch(name)
            where = "in the cache" if name in models.OTHERS else listings.whereabouts(models.card(name))
            typer.echo(f"{name}: weights {where}")


@app.command()
def sweep(
    model: Annotated[str, typer.Argument(help="See `diffprog models`.", show_default=False)],
    layers: Annotated[
        list[str],
        typer.Argument(help="Layers, or patterns: fire5/expand3x3, 'fire*/squeeze'.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder.", show_default="MODEL-units")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Height and width in pixels.", show_default="128")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimizer.", show_default="128")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(recipes.RECIPES)}.", show_default="the network's own, shortened"
        ),
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Of every layer: 0:64, or 3,5,8.", show_default="all")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="A folder of photographs: those that excite a unit most are shown beside it."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another set of pictures.")] = 0,
    debug: Debug = False,
) -> None:
    """Draw all units of whole layers into a folder that opens as a page; stopped, it goes on where it was."""
    with told(debug):
        sweeping.draw(model, layers, out, size, steps, recipe, channels, images, seed)


@app.command()
def score(
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="PNGs that diffprog drew, or any.", show_default=False),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The network to ask.", show_default="what each picture says"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", "-u", help=f"{UNIT_HELP}", show_default="what each picture says"),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="A network that had no part, to ask too; may be repeated; none for none.",
            show_default="all others that are here already",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Size in pixels at which to see all of them.",
            show_default="as drawn, and the network's own for others",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="How many random views.")] = 64,
    seed: Annotated[int, typer.Option(help="Another seed is other views.")] = 0,
    again: Annotated[
        bool, typer.Option("--redraw", help="Draw each again: is it the same, how long, how much memory?")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON in place of a table.")] = False,
    debug: Debug = False,
) -> None:
    """Measure pictures: by their unit, by other networks, and by what photographs are like."""
    with told(debug):
        scoring.run(scoring.Wish(pictures, model, unit, judge or [], size, draws, seed, again, as_json))


@app.command("rules")
def show_rules(
    name: Annotated[str | None, typer.Argument(help="A rule, to see all of it.", show_default=False)] = None,
    debug: Debug = False,
) -> None:
    """Print the rule book: every hand-written backward rule, its proof and its speed."""
    with told(debug):
        typer.echo(rulebook.entry(name) if name else rulebook.table())


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help=f"`lecture`, or {FUNCTION_HELP}", show_default=False)],
    args: Annotated[
        str | None, typer.Option(help="What the arguments are called.", show_default="FUNCTION_args")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(help="An argument that is a parameter; may be repeated.", show_default="by custom"),
    ] = None,
    digits: Annotated[int, typer.Option(help="Digits of the numbers.")] = 4,
    debug: Debug = False,
) -> None:
    """Run backprop step by step, through the lecture's example or a function of your own."""
    with told(debug):
        typer.echo(explained(what, args, parameters or (), digits))


@app.command()
def diagnose(
    function: Annotated[
        str,
        typer.Argument(help="FILE.py:FUNCTION, a cost; its arguments are FUNCTION_args.", show_default=False),
    ],
    args: Annotated[
        str | None,
        typer.Option(help="What the arguments are called in the file.", show_default="FUNCTION_args"),
    ] = None,
    argnums: Annotated[
        list[int] | None,
        typer.Option(help="An argument to be optimized, from 0; may be repeated.", show_default="the first"),
    ] = None,
    products: Annotated[
        int, typer.Option(help="Hessian-vector products for the conditioning; 0 leaves it out.")
    ] = 24,
    debug: Debug = False,
) -> None:
    """Say what is not differentiable, dead, not finite or hard about a cost of your own."""
    with told(debug):
        checks.whole("--products", products, 0)
        typer.echo(diagnosis(function, args, argnums or [], products))
