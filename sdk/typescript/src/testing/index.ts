export { TestCluster, type TestClusterOptions } from "./cluster.js";
