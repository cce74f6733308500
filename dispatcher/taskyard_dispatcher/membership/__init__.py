"""What this dispatcher tells etcd: that it is alive, and which worker sessions it vouches for."""

from taskyard_dispatcher.membership.profiles import Profiles
from taskyard_dispatcher.membership.registration import DispatcherRegistration
from taskyard_dispatcher.membership.session_registry import SessionRegistry

__all__ = ["DispatcherRegistration", "Profiles", "SessionRegistry"]
