"""Training on Keras, which the room `network` starts before any module here asks for it."""

import tinyse.network  # noqa: F401
