"""What this dispatcher tells etcd: that it is alive, and which worker sessions it vouches for."""

from dispatcher.membership.profile import profile
from dispatcher.membership.profiles import Profiles
from dispatcher.membership.registration import DispatcherRecord, DispatcherRegistration
from dispatcher.membership.session_registry import SessionRegistry

__all__ = ["DispatcherRecord", "DispatcherRegistration", "Profiles", "SessionRegistry", "profile"]
