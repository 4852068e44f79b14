"""Words of other libraries, and pynn's words for them: PyTorch, Keras, scikit-learn and JAX.

They are compared without capitals and underscores: "BatchNorm2d" and "batch_norm2d" are one.
"""

from __future__ import annotations

ARGUMENTS = {
    "learning_rate": "lr learningrateinit eta stepsize rate",
    "rate": "lr learningrate p prob probability initialvalue initvalue baselr maxlr peakvalue",
    "epochs": "nepochs numepochs nbepoch epoch maxiter niter maxepochs iterations",
    "batch_size": "batchsize bs minibatch minibatchsize batch",
    "optimizer": "optim opt optimiser solver tx",
    "validation": "validationdata validationsplit validationfraction evalset valdata",
    "early_stopping": "earlystop",
    "checkpoint": "checkpointpath modelcheckpoint",
    "weight_decay": "l2 alpha decay wd kernelregularizer l2reg",
    "max_gradient_norm": "clipnorm globalclipnorm maxnorm gradclip clip maxgradnorm",
    "nesterov": "nesterovsmomentum",
    "beta1": "b1",
    "beta2": "b2",
    "eps": "epsilon",
    "outputs": "units outfeatures width features size nout outputdim neurons",
    "features": "infeatures inputdim inputshape inputsize shape numfeatures x data inputs input",
    "labels": "y targets target ytrue",
    "filters": "outchannels channels nfilters features",
    "size": "kernelsize kernel poolsize windowshape kernelshape",
    "stride": "strides windowstrides subsampling",
    "groups": "featuregroupcount",
    "init": "kernelinit kernelinitializer initializer weightinit winit",
    "slope": "negativeslope alpha leak",
    "label_smoothing": "smoothing",
    "patience": "niternochange",
    "min_delta": "tol",
    "restore_best": "restorebestweights",
    "monitor": "metric",
    "every": "stepsize savefreq",
    "factor": "gamma decayrate",
    "steps": "tmax totalsteps decaysteps warmupsteps transitionsteps",
    "least": "etamin minlr endvalue",
    "seed": "randomstate key rng rngs",
    "path": "file filename fname filepath f",
    "rotate": "degrees rotation angle",
    "shift": "translate widthshiftrange heightshiftrange",
    "scale": "zoom zoomrange",
    "sample_weight": "weights weight sampleweights",
    "class_weight": "classweights",
    "root": "datadir dir folder",
}
"""For an argument of pynn what others call it."""

OF_OPTIMIZERS = "is an argument of the optimizer: fit(..., optimizer=pynn.Adam({}=...))"
OF_BUILD = "is an argument of build, which draws the weights: .build(seed=0)"
ELSEWHERE = {
    "lr learningrate": OF_OPTIMIZERS.format("learning_rate"),
    "momentum": "is an argument of the optimizer: optimizer=pynn.SGD(momentum=0.9)",
    "weightdecay l2 alpha": OF_OPTIMIZERS.format("weight_decay"),
    "betas": "is two arguments: beta1=0.9, beta2=0.999",
    "activation nonlinearity": "is a layer of its own: .dense(64).relu()",
    "bias usebias": "is no choice: every dense and conv2d layer has a bias",
    "inchannels infeatures inputdim inputshape inputsize numfeatures": "is not needed: a layer"
    " knows it from the layer before, and the first from .input(...)",
    "loss criterion lossfunction": "is the end of the chain: .softmax_cross_entropy(),"
    " .mean_squared_error() or .binary_cross_entropy()",
    "verbose": "is progress=True in fit; else pynn prints nothing",
    "metrics metric": "is not needed: fit and evaluate give the loss and the accuracy, and"
    " evaluate(..., per_class=True) the figures of each class",
    "callbacks callback": "is on_epoch=function in fit; early_stopping= and checkpoint= are"
    " arguments of their own",
    "patience": "is an argument of early stopping: fit(...,"
    " early_stopping=pynn.EarlyStopping(patience=5))",
    "scheduler lrscheduler schedule": "is the learning rate itself: optimizer=pynn.SGD("
    "learning_rate=pynn.schedules.Cosine(0.1, steps=900))",
    "seed randomstate key rng rngs": OF_BUILD,
    "device dtype": "is no choice: pynn computes in float32 on the CPU",
    "njobs workers numworkers numthreads": "is set for all of pynn: pynn.set_num_threads(4)",
    "droplast": "is no choice: the last, smaller batch is trained on, too",
    "name": "is not needed: parameters are named by their place, as in 'dense1.weight'",
    "inplace training": "is not needed: pynn does it by itself",
}
"""What to say of an argument where no argument of the call stands for it."""

STEPS = {
    "input": "Input InputLayer input_shape",
    "standardize": "StandardScaler RobustScaler Normalization normalize scaler rescaling",
    "dense": "Dense Linear fc fully_connected affine hidden",
    "conv2d": "Conv conv convolution convolution2d Conv1d",
    "max_pool2d": "maxpool maxpooling2d maxpooling pool2d pool",
    "avg_pool2d": "avgpool averagepooling2d averagepool2d meanpool",
    "global_avg_pool": "globalaveragepooling2d adaptiveavgpool2d globalavgpool2d",
    "batch_norm": "batchnorm2d batchnorm1d batchnormalization bn",
    "layer_norm": "layernormalization ln",
    "flatten": "reshape view ravel",
    "silu": "swish",
    "leaky_relu": "prelu rrelu",
    "sigmoid": "logistic",
    "dropout": "dropout2d spatialdropout2d",
    "softmax_cross_entropy": "crossentropy crossentropyloss categoricalcrossentropy nllloss"
    " sparsecategoricalcrossentropy softmaxcrossentropywithintegerlabels",
    "poisson": "poissonnllloss poissonloss",
    "mean_squared_error": "mse mseloss l2loss squarederror",
    "binary_cross_entropy": "bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy",
}
SOFTMAX = (
    "the loss contains it: end the chain with .softmax_cross_entropy(); predict_proba gives"
    " probabilities"
)
NO_COMPILE = (
    "nothing is compiled: the loss ends the chain, .build() makes the model, and fit takes the"
    " optimizer"
)
OF_CHAINS = {
    "softmax logsoftmax": SOFTMAX,
    "compile": NO_COMPILE,
    "add append": "a layer is added by its own name, as in .dense(64)",
    "activation": "each has a name of its own, as in .relu()",
    "lstm gru rnn embedding attention multiheadattention transformer": "pynn has no such layers:"
    " its networks are chains of dense layers and convolutions",
    "to cuda gpu": "pynn computes on the CPU, and needs no such call",
    "loss": "each has a name of its own, as in .softmax_cross_entropy()",
}
MODELS = {
    "fit": "train trainer learn fit_generator",
    "partial_fit": "train_on_batch train_step",
    "evaluate": "score test test_on_batch accuracy",
    "predict": "predict_classes infer predict_on_batch",
    "predict_proba": "softmax predict_probabilities probabilities",
    "parameters": "state_dict weights get_weights named_parameters params coefs_ intercepts_",
    "parameter_count": "count_params num_parameters n_params",
    "epochs_trained": "n_iter_ n_epochs epochs",
    "save": "save_model save_weights dump to_disk",
    "export_onnx": "to_onnx onnx",
    "summary": "layers modules children info describe",
    "copy": "clone clone_model deepcopy",
    "reset": "reset_parameters reset_states reinitialize",
    "freeze": "requires_grad requires_grad_ trainable set_trainable",
}
OF_MODELS = {
    "forward apply callfn decisionfunction outputsof": "call the model itself: model(features)",
    "compile": NO_COMPILE,
    "add append dense relu": "a model has all its layers; they are added to the chain, before"
    " .build()",
    "eval": "nothing is to be switched: predict and evaluate leave dropout out by themselves",
    "backward zerograd step grad": "fit and partial_fit do it; model.explain(features, labels)"
    " shows the gradients of a step",
    "to cuda cpu gpu float": "pynn computes in float32 on the CPU, and needs no such call",
    "load loadstatedict loadweights setweights loadmodel": "pynn.load(path) makes a model of a"
    " file, and model.parameters['dense1.weight'][...] = array changes a weight",
    "history losscurve loss": "fit returns it: history = model.fit(...)",
}
MODULE = {
    "Builder": "sequential module network net mlp nn layers keras functional",
    "SGD": "gradientdescent",
    "Adam": "adamax nadam rmsprop adagrad optim optimizers",
    "load": "loadmodel read open",
    "sklearn": "mlpclassifier mlpregressor",
    "datasets": "data dataset utils",
    "schedules": "lrscheduler scheduler callbacks",
    "set_num_threads": "setthreads numthreads",
}
OF_MODULE = {
    "dense linear conv2d dropout relu batchnorm": "layers are methods of the chain:"
    " pynn.Builder().input(4).dense(8).relu()",
    "dataloader tensordataset": "fit takes arrays, and batch_size=128 for batches of them",
    "tensor array variable": "pynn takes NumPy's arrays as they are",
    "softmax crossentropyloss mseloss losses": "the loss ends the chain, as in"
    " .softmax_cross_entropy()",
    "grad valueandgrad jit vmap": "fit computes the gradients; model.explain shows those of a step",
    "device cuda": "pynn computes on the CPU, and needs no such call",
    "manualseed seed randomseed": OF_BUILD.replace("is an", "the seed is an"),
}
