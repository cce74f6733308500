"""What this dispatcher tells etcd: that it is alive, and which worker sessions it vouches for."""

from taskyard_dispatcher.membership.profile import profile
from taskyard_dispatcher.membership.profiles import Profiles
from taskyard_dispatcher.membership.registration import DispatcherRecord, DispatcherRegistration
from taskyard_dispatcher.membership.session_registry import SessionRegistry

__all__ = ["DispatcherRecord", "DispatcherRegistration", "Profiles", "SessionRegistry", "profile"]
