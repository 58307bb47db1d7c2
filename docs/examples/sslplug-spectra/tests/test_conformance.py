from sslplug.testing import conformance

test_conformance = conformance("spectra")
