"""What a run leaves behind and shows: run folder, log, TensorBoard, progress, result table. Import the module you need."""
