"""The codes of a data set as files, for whoever trains a model of them."""
