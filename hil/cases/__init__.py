"""The shipped scenarios and the verbs as tests: ``pytest --pyargs hil.cases --hil-device sil``."""
