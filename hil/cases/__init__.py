"""The shipped scenarios and the verbs as tests: ``pytest --pyargs hil.cases --device sil``."""
