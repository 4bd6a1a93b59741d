"""Programs that name devices: exported for the axes of a mesh, and refused where they don't fit the commitment."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.export
import numpy as np
import pytest
from jax._src.export import _export
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec
from sharded import WHOLE, mesh_of, naming_devices

from pol_jax.errors import BackendError, ProofError, TaskError
from pol_jax.program.artifact import STEP_FILE, Artifacts, executing, load_program
from pol_jax.program.divided import cuts_of, says_other_cuts
from pol_jax.program.signature import Signature
from pol_jax.program.stablehlo import parsed
from pol_jax.protocol.mesh import Mesh
from pol_jax.proving.choices import PRNG
from pol_jax.training.export import export_task, signature_of


def made(how: str, mesh: Mesh | None = None) -> tuple[Artifacts, Signature]:
    signature = signature_of(naming_devices(how), PRNG, mesh or mesh_of(how))
    return export_task(naming_devices(how), signature), signature


@pytest.fixture(scope="module")
def mapped() -> tuple[Artifacts, Signature]:
    """A step with ``shard_map``, and an ``init`` that names nothing."""
    return made("shard_map")


def test_only_what_names_devices_is_for_the_mesh(mapped: tuple[Artifacts, Signature]) -> None:
    init, step = (jax.export.deserialize(bytearray(each)) for each in (mapped[0].init, mapped[0].step))
    assert (init.nr_devices, step.nr_devices) == (1, 4)
    # The source's own mesh of devices would write down their kind, and could not be exported elsewhere.
    assert b"device_kind" not in mapped[0].step
    assert load_program(*mapped).names_devices


def test_what_happens_on_each_device_is_followed_value_by_value() -> None:
    """The batch goes into the part for each device, but only the loss comes from it: that is no training."""
    with pytest.raises(TaskError, match="step: the new state does not depend on the batch"):
        made("blind")


def test_a_program_for_devices_runs_on_these_alone(mapped: tuple[Artifacts, Signature]) -> None:
    program, shapes = load_program(*mapped), mapped[1]
    batch = tuple(np.zeros(each.shape, each.dtype) for each in shapes.batch())
    key = np.zeros(shapes.key().shape, np.uint32)
    with pytest.raises(BackendError, match="exported for 4 devices"), executing(shapes):
        program.step(program.init(key), batch, key)


def test_a_program_for_devices_needs_a_mesh(mapped: tuple[Artifacts, Signature]) -> None:
    artifacts, signature = mapped
    with pytest.raises(ProofError, match="is for 4 devices; expected 1, or those of the commitment's mesh") as refusal:
        load_program(artifacts, replace(signature, mesh=None))
    assert STEP_FILE in str(refusal.value)


def test_a_program_that_is_cut_in_another_way_is_refused(mapped: tuple[Artifacts, Signature]) -> None:
    artifacts, signature = mapped
    with pytest.raises(ProofError, match="is cut in other ways among the devices than the commitment says"):
        load_program(artifacts, replace(signature, mesh=mesh_of("shard_map", WHOLE)))


def without_shardings(artifact: bytes) -> jax.export.Exported:
    exported = jax.export.deserialize(bytearray(artifact))
    nothing: dict[str, Any] = {
        name: (None,) * len(getattr(exported, name))
        for name in ("in_shardings_hlo", "out_shardings_hlo", "_in_named_shardings", "_out_named_shardings")
        if hasattr(exported, name)
    }
    return replace(exported, **nothing)


def test_a_program_that_says_no_shardings_is_refused(mapped: tuple[Artifacts, Signature]) -> None:
    artifacts, signature = mapped
    silent = Artifacts(artifacts.init, bytes(without_shardings(artifacts.step).serialize()))
    with pytest.raises(ProofError, match="is cut in other ways"):
        load_program(silent, signature)


def test_shardings_that_would_be_read_by_the_axes_of_the_program_are_refused(
    mapped: tuple[Artifacts, Signature],
) -> None:
    artifacts, signature = mapped
    exported, cuts = jax.export.deserialize(bytearray(artifacts.step)), cuts_of(signature)
    assert cuts is not None
    if not hasattr(exported, "_has_named_shardings"):
        pytest.skip("this jax has no others")
    assert not says_other_cuts(exported, cuts[1])
    changes: dict[str, Any] = {"_has_named_shardings": False}
    for way, said, avals in (
        ("in", cuts[1].takes, exported.in_avals),
        ("out", cuts[1].gives, exported.out_avals),
    ):
        each = zip(jax.tree.leaves(said), avals, strict=True)
        changes[f"{way}_shardings_hlo"] = tuple(cut._to_xla_hlo_sharding(len(aval.shape)) for cut, aval in each)
    assert says_other_cuts(replace(exported, **changes), cuts[1])


def test_a_program_for_one_device_has_no_collectives(mapped: tuple[Artifacts, Signature]) -> None:
    """XLA would divide it, and then each part of it would be divided again."""
    artifacts, signature = mapped
    step = replace(without_shardings(artifacts.step), nr_devices=1)
    with pytest.raises(ProofError, match=r"calls sdy\.manual_computation, sdy\.return, stablehlo\.all_reduce;"):
        load_program(Artifacts(artifacts.init, bytes(step.serialize())), signature)


ORDER = '<["data"=2, "model"=2], device_ids=[3, 1, 0, 2]>'


def _other_mesh(text: str) -> str:
    return text.replace("  sdy.mesh @mesh", f"  sdy.mesh @other = {ORDER}\n  sdy.mesh @mesh", 1)


def _written_out(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(each.replace("<@mesh", f"<mesh{ORDER}") if "in_shardings=" in each else each for each in lines)


def _groups(text: str) -> str:
    """Groups of devices along an axis, of a mesh of StableHLO."""
    axes = '#stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "data">]>'
    ordered = text.replace("size = 2 : i64}]}}", "size = 2 : i64}], device_ids = dense<[3, 1, 0, 2]> : tensor<4xi64>}}")
    return ordered.replace("dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>", axes)


def _in_text(text: str) -> str:
    """XLA parses texts like this one."""
    meshes = 'xla.sdy.meshes = "{other = #sdy.mesh<[\\22data\\22=2, \\22model\\22=2], device_ids = [3, 1, 0, 2]>}"'
    return text.replace("attributes {", f"attributes {{mhlo.frontend_attributes = {{{meshes}}}, ", 1)


def _round_trip(text: str) -> str:
    """Shardings of Shardy in a text, as they are on their way through HLO."""
    sharding = 'xla.sdy.sharding = "#sdy.sharding<@mesh, [{\\22data\\22}]>"'
    return text.replace("attributes {", f"attributes {{mhlo.frontend_attributes = {{{sharding}}}, ", 1)


def _sharding(text: str) -> str:
    """XLA divides what has shardings of this kind by GSPMD."""
    return text.replace("{sdy.sharding", '{mhlo.sharding = "{devices=[4]3,1,0,2}", sdy.sharding', 1)


def _unreduced(text: str) -> str:
    """An array is still to be added up over an axis, on a mesh; on one device it is what it is."""
    return text.replace("<@mesh, [{}]>", '<@mesh, [{}], unreduced={"data"}>', 1)


def _rule(text: str) -> str:
    """It could say that an axis is added up."""
    rule = "#sdy.op_sharding_rule<([i],[i])->([i]) {i=32}>"
    return re.sub(
        r"(stablehlo\.add \S+ \S+)( : tensor<32xf32>)", rf"\1 {{sdy.sharding_rule = {rule}}}\2", text, count=1
    )


@pytest.mark.parametrize(
    "hide", [_other_mesh, _written_out, _groups, _in_text, _round_trip, _sharding, _unreduced, _rule]
)
def test_shardings_that_do_more_than_cut_are_refused(
    mapped: tuple[Artifacts, Signature], hide: Callable[[str], str]
) -> None:
    """Each device could read its number: as many numbers as there are devices, and none of them a constant."""
    artifacts, signature = mapped
    step = jax.export.deserialize(bytearray(artifacts.step))
    text = step.mlir_module()
    with parsed(hide(text)) as module:
        forged = replace(step, mlir_module_serialized=_export._module_to_bytecode(module))
    with pytest.raises(ProofError, match=r"step.jax_export: puts devices into an order of its own"):
        load_program(Artifacts(artifacts.init, bytes(forged.serialize())), signature)


def test_a_program_for_one_device_says_no_shardings(mapped: tuple[Artifacts, Signature]) -> None:
    """They lie beside the module, whose text stays that of a trusted source: each leaf would be multiplied by 2."""
    artifacts, signature = mapped
    init = jax.export.deserialize(bytearray(artifacts.init))
    axes = AbstractMesh((2, 2), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)
    added = NamedSharding(axes, PartitionSpec(unreduced={"data"}))
    forged = replace(init, _out_named_shardings=(added,) * len(init.out_avals))
    with pytest.raises(ProofError, match=r"init.jax_export: is cut in other ways among the devices than the commit"):
        load_program(Artifacts(bytes(forged.serialize()), artifacts.step), signature)


def test_a_mesh_of_the_tasks_own_gives_the_same_program(mapped: tuple[Artifacts, Signature]) -> None:
    assert made("axes")[0] == mapped[0]
