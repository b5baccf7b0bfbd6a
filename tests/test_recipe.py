"""Recipes: defaults, ancestors, overrides, and every kind of mistake named by its key."""

import pytest

from tinyse.errors import InputError
from tinyse.recipe import Recipe, read_recipe, to_toml


def _write(folder, text, name="recipe.toml"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_resolved_recipe_reads_back_as_itself(tmp_path):
    recipe = Recipe(name="x")
    assert read_recipe(_write(tmp_path, to_toml(recipe))) == recipe


def test_a_recipe_takes_what_it_does_not_say_from_its_ancestor(tmp_path):
    _write(tmp_path, 'name = "base"\n[train]\nseed = 9\nbatch = 4\n', "base.toml")
    child = _write(tmp_path, 'name = "child"\ninherits = "base.toml"\n[train]\nbatch = 8\n')
    recipe = read_recipe(child, ("loss.si_sdr=0.5", "name=other"))
    assert (recipe.train.seed, recipe.train.batch) == (9, 8)
    assert (recipe.loss.si_sdr, recipe.name) == (0.5, "other")


@pytest.mark.parametrize(
    ("structure", "method"),
    [("unit", "magnitude"), ("block:4x4", "learned"), ("weight", "learned")],
)
def test_who_chooses_is_decided_by_the_structure_unless_said(tmp_path, structure, method):
    text = f'name = "x"\n[compress]\nstructure = "{structure}"\n'
    recipe = read_recipe(_write(tmp_path, text))
    assert recipe.compress.method == method and f'method = "{method}"' in to_toml(recipe)
    said = read_recipe(tmp_path / "recipe.toml", ("compress.method=offline",))
    assert said.compress.method == "offline"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train]\nsede = 2", "train.sede: unknown key, did you mean seed?"),
        ("trane = 2", "trane: unknown key, did you mean train?"),
        ('[train]\nseed = "two"', "train.seed: Expected `int`, got `str`"),
        ("[train]\nbatch = 0", "train.batch: Expected `int` >= 1"),
        ("[mixing]\nbabble_share = 1.5", "mixing.babble_share: Expected `float` <= 1.0"),
        ("[mixing]\nsnr_db = [5, -5]", "mixing.snr_db: 5.0 > -5.0"),
        ("[mixing]\nspeed = [0, 1]", "mixing.speed: must be above zero"),
        ("[mixing]\nnoise_speed = [-1, 1]", "mixing.noise_speed: must be above zero"),
        ("[mixing]\nroom_rt60_s = [0, 0.5]", "mixing.room_rt60_s: must be above zero"),
        ("[mixing]\nequaliser_db = inf", "mixing.equaliser_db: Expected `float` <= "),
        ("[train]\nlearning_rate = inf", "train.learning_rate: Expected `float` <= "),
        ("[network]\ncell_clip = 0.001", "network.cell_clip: 0.001 fits no scale of int16"),
        ("[network]\ncell_clip = 50000", "network.cell_clip: 50000 fits no scale of int16"),
        ("[loss]\nsnr = 0", "loss: every weight is zero"),
        ('[data]\nvalid_list = ""', "data.valid_list: empty, and so is data.rooms_list"),
        ("[train]\nseed = 18446744073709551616", "train.seed: "),
        ('inherits = "numbers.toml"', "train: Expected `object`, got `int`"),
        ("[data]\nshare = 0", "data.share: Expected `float` > 0.0"),
        ("[compress]\nslope = [0.3, 0.0]", "compress.slope[1]: Expected `float` > 0.0"),
        ("[network]\nlstm = []", "network.lstm: Expected `array` of length >= 1"),
        ('[export]\nprofile = "float"', "export.profile: Invalid enum value 'float'"),
        ("schema = 2", "schema: Invalid enum value 2"),
        ("inherits = 3", "inherits: expected a name or path, got 3"),
        ('inherits = "nowhere.toml"', "cannot be read"),
        ('inherits = "recipe.toml"', "inherits: the recipes inherit from each other"),
        ("[train", "is not TOML"),
    ],
)
def test_a_mistake_is_named_by_the_path_of_its_key(tmp_path, text, says):
    head = "" if text.startswith("[train\n") else 'name = "x"\n'
    _write(tmp_path, 'name = "n"\ntrain = 1\n', "numbers.toml")
    with pytest.raises(InputError) as error:
        read_recipe(_write(tmp_path, head + text))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_circle_is_seen_on_any_way_round(tmp_path):
    (tmp_path / "x").mkdir()
    for name, parent in (("a", "b"), ("b", "a")):
        text = f'name = "{name}"\ninherits = "../x/{parent}.toml"\n'
        (tmp_path / "x" / f"{name}.toml").write_text(text)
    with pytest.raises(InputError, match="the recipes inherit from each other; break the circle"):
        read_recipe(tmp_path / "x" / "a.toml")


def test_a_nameless_or_missing_recipe_is_refused(tmp_path):
    with pytest.raises(InputError, match="missing required field `name`"):
        read_recipe(_write(tmp_path, ""))
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_an_override_without_a_value_or_into_a_value_is_refused(tmp_path):
    path = _write(tmp_path, 'name = "x"')
    for override in ("train.seed", "=3", "name.x=1"):
        with pytest.raises(InputError):
            read_recipe(path, (override,))


def test_a_machine_is_not_inherited(tmp_path):
    """The published network was trained where bfloat16 is fast; its children may live elsewhere."""
    (tmp_path / "parent.toml").write_text(
        'name = "parent"\n[train]\nprecision = "bfloat16"\nbatch = 32\n'
    )
    (tmp_path / "child.toml").write_text('inherits = "parent.toml"\nname = "child"\n')
    train = read_recipe(tmp_path / "child.toml").train
    assert (train.precision, train.batch) == ("float32", 32)
    assert read_recipe(tmp_path / "parent.toml").train.precision == "bfloat16"
