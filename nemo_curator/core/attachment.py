"""What this process needs so that `ray.init()` in it attaches to a cluster, and how it lets go again."""

import contextlib
import importlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Set to 0 before Ray is imported, this keeps all of Ray on 127.0.0.1, on every system. A cluster and whoever attaches
# to it must agree on it: one that does not looks for 127.0.0.1 at the address of its network interface.
LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def new_token(path: Path) -> Path:
    """Write a fresh token that only this user can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secrets.token_hex(32))
    return path


def own_token() -> str | None:
    """The token that Ray would use in this process, found in Ray's own order."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return None


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables, for an imported Ray too, and put back afterwards what was there before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        refresh_ray()
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        refresh_ray()


def refresh_ray() -> None:
    """Have an imported Ray read its environment again: by itself it does so once, and keeps the first token."""
    if "ray" not in sys.modules:
        return
    try:
        constants: Any = importlib.import_module("ray._private.ray_constants")
        raylet = importlib.import_module("ray._raylet")
        constants.ENABLE_RAY_CLUSTER = constants.env_bool(LOOPBACK_VARIABLE, not constants.IS_WINDOWS_OR_OSX)
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()
    except (ImportError, AttributeError) as error:
        raise RuntimeError(
            "This version of Ray, imported before RayClient started, cannot be told about the cluster's token; "
            "start the client before `import ray`, in a fresh Python process"
        ) from error


def connected_address() -> str | None:
    """The cluster to which `ray.init()` has connected this process."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().gcs_address if ray is not None and ray.is_initialized() else None


def disconnect(address: str) -> None:
    """Let go of a cluster before it ends: afterwards that takes 5 s, and until then Ray believes itself connected."""
    if connected_address() == address:
        sys.modules["ray"].shutdown()
