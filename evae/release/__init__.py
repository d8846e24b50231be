"""The best model of a study as a folder that stands alone: weights, config.json, a model card, pictures."""
