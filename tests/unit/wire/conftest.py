"""Property tests run on machines that other work shares: the number of examples is bounded, the time of each is not."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")
