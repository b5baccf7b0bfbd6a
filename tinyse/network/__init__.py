"""The float network on Keras, which this import starts before any module here asks for it."""

from tinyse.network.keras_import import import_keras

import_keras()
