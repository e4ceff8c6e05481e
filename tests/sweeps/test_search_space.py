"""The search space: config file and command line, and the points that a grid makes of them."""

from stylegan_lab.sweeps.search_space import grid_points, parse


def test_the_command_line_replaces_the_values_of_the_config_file() -> None:
    axes, rest = parse({"loss": ["lsgan", "hinge"], "a.b": "1,2,3"}, ["a.b=range(0,4,2)", "c=1", "~d"])
    assert [(axis.key, axis.values) for axis in axes] == [("loss", ("lsgan", "hinge")), ("a.b", ("0", "2"))]
    assert rest == ["c=1", "~d"]
    assert list(grid_points(axes))[1] == {"loss": "lsgan", "a.b": "2"} and len(list(grid_points(axes))) == 4


def test_intervals_may_be_integer_or_logarithmic() -> None:
    (integer, log), _ = parse({}, ["x=int(interval(1,8))", "y=tag(log,interval(1e-5,1e-3))"])
    assert integer.is_integer and integer.format(3.0) == "3" and log.log and log.format(1e-4) == "0.0001"
