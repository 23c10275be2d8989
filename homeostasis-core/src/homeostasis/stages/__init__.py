"""What core does around each hook, one module per stage, in the order of the pipeline."""
