"""Tests mirror the source: `src/maskzoo/ROOM/FILE.py` has `tests/ROOM/test_FILE.py`, or stands in the one table here."""

from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "maskzoo"

# What is tested by another file than its own, mostly because only the walk through several files shows that it is right.
TESTED_BY = {
    "bench/hardware.py": "bench/test_bench.py",
    "bench/measured.py": "bench/test_bench.py",
    "bench/page.py": "bench/test_bench.py",
    "bench/runner.py": "bench/test_bench.py",
    "bench/settings.py": "bench/test_bench.py",
    "bench/stages.py": "bench/test_bench.py",
    "bench/training_steps.py": "bench/test_bench.py",
    "bench/worker.py": "bench/test_bench.py",
    "cli/bench.py": "bench/test_bench.py",
    "cli/convert.py": "cli/test_cli.py",
    "cli/data.py": "cli/test_cli.py",
    "cli/export.py": "cli/test_cli.py",
    "cli/options.py": "cli/test_cli.py",
    "cli/terminal.py": "cli/test_cli.py",
    "dataset_checks/annotation_checks.py": "dataset_checks/test_split_checks.py",
    "dataset_checks/codes.py": "dataset_checks/test_split_checks.py",
    "dataset_checks/content_judgements.py": "dataset_checks/test_judgements.py",
    "dataset_checks/file_size_judgement.py": "dataset_checks/test_whole_repairs.py",
    "dataset_checks/geometry_judgements.py": "dataset_checks/test_judgements.py",
    "dataset_checks/image_checks.py": "dataset_checks/test_split_checks.py",
    "dataset_checks/judgement.py": "dataset_checks/test_judgements.py",
    "dataset_checks/file_name_judgement.py": "dataset_checks/test_repairs.py",
    "dataset_checks/report.py": "dataset_checks/test_check.py",
    "dataset_checks/table_checks.py": "dataset_checks/test_split_checks.py",
    "dataset_checks/tally.py": "dataset_checks/test_repairs.py",
    "dataset_checks/whole_set.py": "dataset_checks/test_judgements.py",
    "datasets/contact_sheet.py": "cli/test_data_show.py",
    "datasets/converted.py": "datasets/importers/test_convert.py",
    "datasets/exporters/coco.py": "datasets/test_predictions.py",
    "datasets/exporters/content.py": "datasets/exporters/test_export.py",
    "datasets/exporters/formats.py": "datasets/exporters/test_export.py",
    "datasets/exporters/numbered.py": "datasets/exporters/test_voc.py",
    "datasets/importers/via_forms.py": "datasets/importers/test_via.py",
    "datasets/sifted.py": "datasets/test_coco_reader.py",
    "evaluation/job.py": "cli/test_evaluate.py",
    "drawing/labels.py": "drawing/test_objects.py",
    "drawing/picture_file.py": "cli/test_data_show.py",
    "exporting/cache.py": "zoo/test_backends.py",
    "exporting/calibration.py": "exporting/test_verify.py",
    "exporting/example.py": "exporting/test_example_script.py",
    "exporting/onnx_operators.py": "exporting/test_onnx.py",
    "exporting/openvino.py": "zoo/test_backends.py",
    "exporting/program.py": "exporting/test_onnx.py",
    "exporting/runtimes.py": "zoo/test_backends.py",
    "html/page_frame.py": "reports/test_page.py",
    "inference/backends.py": "inference/test_predictor.py",
    "inference/folder_share.py": "inference/test_folder_run.py",
    "inference/journal.py": "inference/test_folder_run.py",
    "inference/prediction_plan.py": "cli/test_predict.py",
    "model_file.py": "test_config.py",
    "models/packing.py": "models/test_layers.py",
    "models/settings.py": "models/test_build.py",
    "ops/transfer.py": "training/test_late_reading.py",
    "progress.py": "bench/test_processes.py",
    "reports/pictures.py": "reports/test_page.py",
    "reports/sections.py": "reports/test_page.py",
    "training/events.py": "training/test_trainer.py",
    "training/keeper.py": "training/test_run.py",
    "training/losses.py": "parity/test_training.py",
    "training/objective.py": "parity/test_training.py",
    "training/report.py": "cli/test_train.py",
    "training/state.py": "training/test_trainer.py",
    "training/step_inputs.py": "training/test_trainer.py",
    "training/targets.py": "parity/test_training.py",
    "weights/caffe2.py": "weights/test_recognition.py",
    "weights/detectron2.py": "weights/test_libraries.py",
    "weights/layer_names.py": "weights/test_libraries.py",
    "weights/mmdetection.py": "weights/test_libraries.py",
    "weights/not_computed.py": "weights/test_recognition.py",
    "weights/pickles.py": "weights/test_pdparams.py",
    "weights/shape_reader.py": "weights/test_recognition.py",
    "weights/torchvision.py": "weights/test_libraries.py",
    "weights/object_pickles.py": "weights/test_foreign.py",
    "weights/torch_files.py": "weights/test_foreign.py",
    "zoo/backend_choice.py": "zoo/test_load.py",
    "zoo/choices.py": "zoo/test_conversion.py",
    "zoo/counterparts/counterpart.py": "zoo/counterparts/test_convert.py",
    "zoo/counterparts/detectron2.py": "zoo/counterparts/test_convert.py",
    "zoo/counterparts/mmdetection.py": "zoo/counterparts/test_convert.py",
    "zoo/counterparts/library_program.py": "zoo/counterparts/test_verify.py",
    "cli/verify.py": "zoo/counterparts/test_verify.py",
    "zoo/counterparts/paddledetection.py": "zoo/counterparts/test_convert.py",
    "zoo/counterparts/torchvision.py": "zoo/counterparts/test_convert.py",
    "zoo/detectron2_config.py": "zoo/test_model_draft.py",
    "zoo/mmdetection_config.py": "zoo/test_model_draft.py",
    "zoo/paddledetection_config.py": "zoo/test_import_config.py",
    "zoo/paddledetection_readers.py": "zoo/test_import_config.py",
    "zoo/class_names.py": "zoo/test_conversion.py",
    "zoo/python_values.py": "zoo/test_toolkit_configs.py",
    "zoo/torchvision_options.py": "zoo/test_model_draft.py",
    "zoo/export_model.py": "exporting/test_verify.py",
    "zoo/transfer.py": "zoo/test_first_weights.py",
}


def test_every_source_file_has_its_own_test_or_is_named_with_the_one_that_covers_it():
    files = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    without = {file.as_posix() for file in files if not (TESTS / file.parent / f"test_{file.name}").is_file()}
    assert without - TESTED_BY.keys() == set(), (
        "new files without a test of their own: write it, or name the one that covers it"
    )
    assert TESTED_BY.keys() - without == set(), "they have a test of their own, or are gone: take them out of the table"


def test_the_files_that_cover_others_are_there():
    assert [test for test in TESTED_BY.values() if not (TESTS / test).is_file()] == []
