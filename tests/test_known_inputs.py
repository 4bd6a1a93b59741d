"""Unusual tasks, sources, surroundings and mistakes end as they must: a table of kinds, and the tests that hold them.

What is honest is accepted; what can't be proven is refused in one line, with exit code 2, before anything is written.
"""

from __future__ import annotations

import re

import pytest
from places import TESTS

ACCEPTED = {
    "optimizers, schedules, wrappers": "test_ordinary_optimizers.py::test_all_of_them_in_one_step",
    "line search": "test_rounding_decides.py::test_an_honest_step_never_fails",
    "modules, pytrees, losses, loops in a step": "test_ordinary_models.py::test_all_of_them_in_one_step",
    "objects of NNX": "test_nnx.py::test_it_is_proven_and_verified",
    "sorting, transforms, attention, draws": "test_ordinary_steps.py::test_all_of_them_in_one_step",
    "linear algebra, orthogonal weights": "test_portable_linalg.py::test_no_foreign_call_and_the_same_numbers",
    "leaves of every kind": "test_export.py::test_leaves_of_every_kind_are_in_the_commitment",
    "leaves of every dtype": "test_export.py::test_state_leaf_of_every_dtype",
    "numbers and arrays of the host in a state": "test_export.py::test_python_numbers_and_numpy_arrays_are_leaves",
    "64-bit types": "test_wide_types.py::test_the_sandboxed_verifier_has_them_too",
    "states and losses that are not finite": "test_models_that_are_not_finite.py",
    "runs and batches of any shape": "test_run_shapes.py::test_a_run_of_any_shape",
    "settings of jax": "test_settings_of_jax.py::test_a_run_under_them_has_the_same_claim",
    "other keys": "test_train.py::test_other_prng_implementation",
    "arrays, lists, tuples, any indexed object": "test_sources.py::test_what_has_a_length_and_items_is_a_source",
    "records that are any pytree": "test_train.py::test_state_and_records_may_be_any_pytree",
    "Hugging Face, Grain": "test_recipes.py::test_a_data_set_is_a_source_as_it_is",
    "names that look like markup": "test_train.py::test_names_are_no_markup",
    "any path": "test_orbax_settings.py::test_other_paths_are_read",
    "terminals of few characters": "test_train.py::test_a_terminal_that_can_t_show_a_character_is_no_reason_to_stop",
    "few checkpoints, rare witnesses": "test_thinned_proofs.py",
    "files of git, Hugging Face and systems beside a proof": "test_conformance.py",
    "checkpoints of others to begin with": "test_foreign_weights.py::test_saved_on_several_devices",
    "an evaluation that fails": "test_train.py::test_an_evaluation_that_fails_spoils_no_proof",
    "a run that was killed": "test_resumption.py::test_killed_before_any_write_ends_with_the_same_claim",
    "a run that is finished": "test_preparation.py::test_finished_run_is_left_alone",
    "a loop over a finished run": "test_preparation.py::test_loop_over_a_finished_run_does_nothing",
    "a copy of a state": "test_state_chain.py::test_a_copy_is_the_same_state",
    "a change that is committed to": "test_interventions.py::test_it_is_accepted_and_named_first",
}

REFUSED = {
    "arguments of wrong types and sizes": "test_wrong_calls.py::test_a_wrong_call_is_one_line",
    "wrong arguments on the command line": "test_main.py::test_wrong_call_is_one_clear_line_and_exit_code_2",
    "metrics, states and results that are none": "test_export.py::test_broken_contract",
    "calls of Python in a step": "test_host_calls.py::test_a_call_is_found_wherever_it_is",
    "what has no portable program": "test_export.py::test_the_exporter_refuses_what_a_verifier_would_not_run",
    "random bits of the device": "test_operations.py::test_random_bits_of_the_device_need_a_prng_that_says_so",
    "constants, and steps that ignore batch or state": "test_stage_3_programs_that_are_no_training.py",
    "a first step that fails": "test_trial.py::test_a_step_that_gives_no_number_under_debug_nans",
    "objects that are no source": "test_sources.py::test_what_is_no_source_gets_an_advice",
    "objects of other libraries": "test_recipes.py::test_what_is_no_source_is_refused_with_its_cure",
    "lengths that lie": "test_sources.py::test_a_length_that_lies_is_noticed_at_the_record",
    "disks that fail": "test_sources.py::test_an_error_of_the_source_names_the_record_and_the_place",
    "records unlike the first": "test_record_leaves.py::test_a_record_unlike_the_first_is_named",
    "records of dtypes without a digest": "test_record_leaves.py::test_a_dtype_without_a_digest",
    "records that change, or are others": "test_resumption.py::test_changed_source_is_noticed",
    "places that can hold no proof": "test_files.py::test_a_place_that_can_hold_no_proof",
    "a directory that is in use": "test_recording.py::test_two_processes_do_not_share_a_directory",
    "an edited task": "test_state_chain.py::test_a_task_that_was_edited_does_not_continue_the_run",
    "other choices": "test_commit.py::test_choices_that_contradict_the_run_are_refused",
    "a state that was changed": "test_state_chain.py::test_a_state_that_was_changed_is_noticed_at_that_step",
    "a state that was used before": "test_state_chain.py::test_a_state_whose_memory_was_reused",
    "steps left out, or run twice": "test_step_counter.py::test_steps_that_are_left_out_or_run_twice",
    "a recording outside of its block": "test_recording.py::test_outside_of_its_block",
    "a loop of other steps": "test_step_counter.py::test_a_loop_that_runs_no_step_of_the_recording",
    "a loop that is left": "test_step_counter.py::test_leaving_early_says_so",
    "steps to open that are not there": "test_opener.py::test_steps_that_are_not_there",
    "a run that is not finished": "test_verify.py::test_a_run_that_is_not_finished_is_no_false_proof",
    "a report nobody can write": "test_verify.py::test_a_report_that_can_t_be_written_is_found_before_the_verification",
    "an unreadable or damaged proof": "test_stage_1_limits_and_names.py",
    "damaged documents": "test_documents.py",
}


FILES = [path for folder in (TESTS, *TESTS.iterdir()) for path in folder.glob("test_*.py")]


@pytest.mark.parametrize("kind", [*ACCEPTED, *REFUSED])
def test_each_kind_has_a_test(kind: str) -> None:
    file, _, name = (ACCEPTED | REFUSED)[kind].partition("::")
    texts = [path.read_text(encoding="utf-8") for path in FILES if path.name == file]
    assert any(re.search(rf"^def {name}\(" if name else r"^def test_", text, re.MULTILINE) for text in texts)
