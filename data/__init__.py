"""Image folders to examples, groups, folds and batches."""
