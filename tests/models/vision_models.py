# SPDX-License-Identifier: Apache-2.0
"""Models of images as people write them; digits (8, 8, 1) in, 10 classes out where nothing else is said."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("whole_models")
class ConvBlock(layers.Layer):
    """Convolution, batch norm, ReLU."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.relu = layers.ReLU(name="relu")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build((*input_shape[:-1], self.filters))
        self.built = True

    def call(self, x, training=False):
        return self.relu(self.norm(self.conv(x), training=training))

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


@keras.saving.register_keras_serializable("whole_models")
class ResidualBlock(layers.Layer):
    """Two custom blocks inside a custom block, and a sum made by `+`."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.first = ConvBlock(filters, name="first")
        self.second = ConvBlock(filters, name="second")

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        return x + self.second(self.first(x, training=training), training=training)

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


class SubclassedNet(keras.Model):
    """Says nothing of how to make it again: `strip` needs `into=`."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.stem = ConvBlock(8, name="stem")
        self.blocks = [ResidualBlock(8, name=f"block_{number}") for number in range(2)]
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.dropout = layers.Dropout(0.1, name="dropout")
        self.head = layers.Dense(10, activation="softmax", name="head")

    def call(self, images, training=False):
        x = self.stem(images, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(self.dropout(self.pool(x), training=training))


def subclassed():
    model = SubclassedNet()
    model(ops.zeros((1, 8, 8, 1)))
    return model


def transfer():
    """A frozen backbone, called in inference mode, inside a model."""
    image = keras.Input((8, 8, 3), name="backbone_image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.ReLU(6.0, name="relu")(layers.BatchNormalization(name="norm")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.ReLU(6.0, name="depthwise_relu")(layers.BatchNormalization(name="depthwise_norm")(y))
    backbone = keras.Model(image, layers.Add(name="add")([x, y]), name="backbone")
    backbone.trainable = False
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Concatenate(name="colours")([inputs, inputs, inputs])
    x = backbone(layers.Rescaling(2.0, -1.0, name="rescale")(x), training=False)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name="transfer")


def transfer_mobilenet(weights):
    """MobileNetV2 0.35 at 96 px, frozen, inside a model of 9 classes."""
    backbone = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None)
    backbone.load_weights(weights)
    backbone.trainable = False
    inputs = keras.Input((96, 96, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(backbone(inputs, training=False))
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(9, activation="softmax", name="head")(x), name="transfer_mobilenet")


@keras.saving.register_keras_serializable("whole_models")
class Patches(layers.Layer):
    """(batch, 8, 8, 1) -> (batch, 16, 4), as the Keras example cuts them."""

    def call(self, images):
        patches = ops.image.extract_patches(images, size=2)
        return ops.reshape(patches, (-1, 16, 4))


@keras.saving.register_keras_serializable("whole_models")
class PatchEncoder(layers.Layer):
    """The Keras example's: a projection and a table of positions, read at `ops.arange`."""

    def __init__(self, patches=16, width=16, **kwargs):
        super().__init__(**kwargs)
        self.patches, self.width = patches, width
        self.projection = layers.Dense(width, name="projection")
        self.position_embedding = layers.Embedding(patches, width, name="positions")

    def build(self, input_shape):
        self.projection.build(input_shape)
        self.position_embedding.build((self.patches,))
        self.built = True

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.patches, step=1), axis=0)
        return self.projection(patch) + self.position_embedding(positions)

    def get_config(self):
        return super().get_config() | {"patches": self.patches, "width": self.width}


@keras.saving.register_keras_serializable("whole_models")
class AddedPositions(layers.Layer):
    """Positions as a weight that is added."""

    def build(self, input_shape):
        self.positions = self.add_weight(shape=(1, *input_shape[1:]), initializer="random_normal", name="positions")

    def call(self, x):
        return x + self.positions


def _transformer(x, dropout=0.0):
    y = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    y = layers.MultiHeadAttention(2, 8, dropout=dropout, name="attention")(y, y)
    x = layers.Add(name="attended")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name="mlp_norm")(x)
    y = layers.Dense(32, activation=keras.activations.gelu, name="mlp_in")(y)
    y = layers.Dense(16, name="mlp_out")(y)
    x = layers.Add(name="mlp_added")([x, y])
    x = layers.LayerNormalization(epsilon=1e-6, name="last_norm")(x)
    return layers.Dense(10, activation="softmax", name="head")(layers.GlobalAveragePooling1D(name="pool")(x))


def transformer_with_embedding():
    inputs = keras.Input((8, 8, 1), name="image")
    x = PatchEncoder(name="encoder")(Patches(name="patches")(inputs))
    return keras.Model(inputs, _transformer(x), name="vit_embedding")


def transformer_with_weight():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 2, strides=2, name="patches")(inputs)
    x = AddedPositions(name="positions")(layers.Reshape((16, 16), name="flat")(x))
    return keras.Model(inputs, _transformer(x), name="vit_weight")


def transformer_with_dropout():
    """Dropout inside the attention, as the Keras example has it, makes Keras compute it another way."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 2, strides=2, name="patches")(inputs)
    x = layers.Reshape((16, 16), name="flat")(x)
    return keras.Model(inputs, _transformer(x, dropout=0.1), name="vit_dropout")


def u_net():
    """Digits in, one of 2 classes for each pixel out."""
    inputs = keras.Input((8, 8, 1), name="image")
    a = layers.Conv2D(8, 3, padding="same", activation="relu", name="down_1")(inputs)
    b = layers.MaxPooling2D(2, name="pool_1")(a)
    b = layers.Conv2D(16, 3, padding="same", activation="relu", name="down_2")(b)
    c = layers.MaxPooling2D(2, name="pool_2")(b)
    c = layers.Conv2D(16, 3, padding="same", activation="relu", name="bottom")(c)
    d = layers.Conv2DTranspose(16, 2, strides=2, name="up_2")(c)
    d = layers.Concatenate(name="join_2")([d, b])
    d = layers.Conv2D(8, 3, padding="same", activation="relu", name="mix_2")(d)
    e = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="up_1")(d)
    e = layers.Concatenate(name="join_1")([e, a])
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax", name="pixels")(e), name="u_net")


def used_twice():
    """One convolution and one dense layer, each called twice."""
    inputs = keras.Input((8, 8, 1), name="image")
    conv = layers.Conv2D(8, 3, padding="same", activation="relu", name="shared_conv")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    x = layers.MaxPooling2D(2, name="pool")(conv(conv(x)))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name="used_twice")


def lambda_of_ops():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Lambda(lambda image: ops.concatenate([image, image * image], axis=-1) * 2.0 - 1.0, name="square")(inputs)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = layers.Lambda(lambda x: ops.mean(x, axis=(1, 2)), name="mean")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name="lambda_of_ops")


def free_size():
    """Fully convolutional; height and width are free."""
    inputs = keras.Input((None, None, 1), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv_1")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(16, 3, padding="same", activation="hard_silu", name="conv_2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name="free_size")
