"""The methods of Depot's API, a module for each service (wire.json: depot.build.v1, depot.buildkit.v1, depot.cli.v1,
depot.core.v1, depot.registry.v1beta1).
"""
