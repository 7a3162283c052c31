// The life of a project token. Prints what each call returned, and the build that the token could create.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const projectId = process.env.DEPOT_PROJECT_ID
const projects = depot.core.v1.ProjectService
const list = async () => (await projects.listTokens({projectId}, {headers})).tokens.map((token) => token.toJson())

const {tokenId, secret} = await projects.createToken({projectId, description: 'for CI'}, {headers})
const own = {headers: {Authorization: `Bearer ${secret}`}}
const listed = await list()
await projects.updateToken({tokenId, description: 'for the new CI'}, {headers})
const updated = await list()
const {buildId} = await depot.build.v1.BuildService.createBuild({projectId}, own)
await projects.deleteToken({tokenId}, {headers})
const deleted = await list()
const afterwards = await depot.build.v1.BuildService.createBuild({projectId}, own).catch((error) => ({
  error: error.message,
}))

console.log(JSON.stringify({tokenId, listed, updated, buildId, deleted, afterwards}))
