"""What knows the pipeline: where files lie, dvc.yaml and dvc.lock, what of it MLflow is told."""
