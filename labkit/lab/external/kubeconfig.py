"""The kubeconfig that the lab file names, as a person has it: YAML, files beside it, many contexts.

The nodes get everything inline: certificates, keys and tokens are copied out of the files that the
kubeconfig names. What only runs here, a plug-in that logs in, is refused.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from labkit import errors
from labkit.client import config
from labkit.model import spec


def read(control_plane: spec.ControlPlaneSpec) -> config.ClientConfig:
    """Raises ConfigError that names the file, and what to do about it."""
    path = Path(control_plane.kubeconfig)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return config.parse_document(
            document, folder=str(path.parent), context=control_plane.context
        )
    except OSError as error:
        raise errors.ConfigError(
            f"control_plane.kubeconfig: {path} cannot be read: {error.strerror}",
            hint="a relative path begins at the lab file, or where the command was typed",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise errors.ConfigError(
            f"control_plane.kubeconfig: {path} is not YAML: {' '.join(str(error).split())}"
        ) from error
    except errors.ConfigError as error:
        raise errors.ConfigError(
            f"control_plane.kubeconfig: {path}: {error.message}", hint=error.hint
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise errors.ConfigError(
            f"control_plane.kubeconfig: {path} is not a kubeconfig ({error})",
            hint="`kubectl config view` shows one",
        ) from error
